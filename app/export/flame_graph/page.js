const graph = flameGraph(document.getElementById("graph"), JSON.parse(document.getElementById("data").textContent), {
  place: {
    read: () => Object.fromEntries(new URLSearchParams(location.hash.slice(1))),
    write: (said) => history.replaceState(null, "", `#${new URLSearchParams(Object.entries(said).filter(([, value]) => value))}`),
  },
});
window.addEventListener("hashchange", graph.open);

// Charts by uPlot. Each has a name that says what it shows; the numbers stand in a table or text beside it, too.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { number } from "./dom.js";

const SHADES = ["#7a7f8a", "#0b8a6f", "#b3541e", "#0b57d0"];
const DARK_SHADES = ["#a9b0bc", "#5fd0b5", "#f0a070", "#8ab4ff"];

const SECONDS = [1, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400]; // between two labels: each is another

function colours() {
  const style = getComputedStyle(document.documentElement);
  return { ink: style.getPropertyValue("--soft").trim(), line: style.getPropertyValue("--line").trim(), accent: style.getPropertyValue("--accent").trim() };
}

function isDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function axes() {
  const { ink, line } = colours();
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
  const clock = (_chart, times) => times.map((time) => clockTime(time, times.length > 1 && times[1] - times[0] < 60 ? 19 : 16));
  return [{ ...axis, values: clock, space: 90, incrs: SECONDS }, { ...axis, size: 64, values: (_chart, values) => values.map((value) => number(value)) }];
}

function name(root, text) {
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", text);
}

// The time of the day in UTC; nothing for a moment that no calendar has.
function clockTime(seconds, characters) {
  const moment = new Date(seconds * 1000);
  return Number.isNaN(moment.getTime()) ? "" : moment.toISOString().slice(11, characters);
}

function fit(root, chart, height) {
  new ResizeObserver(() => chart.setSize({ width: Math.max(200, root.clientWidth), height })).observe(root);
}

// Rates of each process over the moments that were looked at. Gives what to pass in the next time.
export function lines(root, moments, processes, before) {
  const data = [moments.map((one) => one.time), ...processes.map((process) => moments.map((one) => one.kinds[process]?.out_rate ?? null))];
  const latest = moments.at(-1)?.kinds || {};
  name(root, `Events a second over the last minutes. Now: ${processes.map((process) => `${process} ${number(latest[process]?.out_rate)}`).join(", ")}`);
  if (before) {
    before.setData(data);
    return before;
  }
  const shades = isDark() ? DARK_SHADES : SHADES;
  const series = processes.map((process, at) => ({ label: process, stroke: shades[at % shades.length], width: 2, dash: at % 2 ? [6, 3] : undefined, points: { show: moments.length < 2 }, value: (_chart, value) => number(value) }));
  const chart = new uPlot({ width: Math.max(200, root.clientWidth), height: 220, cursor: { drag: { x: false, y: false } }, scales: { y: { range: (_chart, _low, high) => [0, Math.max(1, high || 1)] } }, axes: axes(), series: [{ label: "UTC", value: (_chart, time) => (time ? clockTime(time, 19) : "–") }, ...series], tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") }, data, root);
  fit(root, chart, 220);
  return chart;
}

// Hits by hour: `hours` are {hour, hits} with the hour since the Unix epoch. Two days at most, six hours at least.
export function bars(root, hours) {
  const first = hours[0].hour;
  const last = hours.at(-1).hour;
  const at = new Map(hours.map((one) => [one.hour, one.hits]));
  const times = [];
  const values = [];
  for (let hour = Math.min(Math.max(first, last - 47), last - 5); hour <= last; hour++) {
    times.push(hour * 3600);
    values.push(at.get(hour) || 0);
  }
  name(root, `Hits by hour, ${number(values.reduce((sum, one) => sum + one, 0))} in ${times.length} hours`);
  const { accent } = colours();
  const chart = new uPlot({ width: Math.max(200, root.clientWidth), height: 180, legend: { show: false }, cursor: { drag: { x: false, y: false } }, scales: { x: { range: () => [times[0] - 1800, times.at(-1) + 1800] }, y: { range: (_chart, _low, high) => [0, Math.max(1, high || 1)] } }, axes: axes(), series: [{}, { stroke: accent, fill: accent, paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } }], tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") }, [times, values], root);
  fit(root, chart, 180);
}

// Reads documents of evidence as they stand in their files, and checks digest and signature over the very bytes.
//
// The form is canonical: keys sorted, no white space, whole numbers. What is in another form is no document of ours, so
// the text that the digest covers is cut out of the file and not made again: no number can be rounded on the way.

const DEPTH = 32;

export class EvidenceError extends Error {}

// The members of the document by name, each with its value and its text; numbers are BigInt.
export function membersOf(text) {
  let at = 0;
  const wrong = (what) => {
    throw new EvidenceError(`The file is not in the form of our documents at character ${at}: ${what}. It was changed, or is something else.`);
  };
  const take = (token) => (text.startsWith(token, at) ? ((at += token.length), true) : false);
  const string = () => {
    const begin = at;
    if (text[at] !== '"') wrong("a text is missing");
    at++;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    if (at >= text.length) wrong("a text does not end");
    at++;
    const raw = text.slice(begin, at);
    let value;
    try {
      value = JSON.parse(raw);
    } catch {
      wrong("a text is broken");
    }
    return value;
  };
  const before = (one, other) => {
    const [a, b] = [[...one], [...other]];
    for (let index = 0; index < Math.min(a.length, b.length); index++) {
      const difference = a[index].codePointAt(0) - b[index].codePointAt(0);
      if (difference) return difference < 0;
    }
    return a.length < b.length;
  };
  const object = (depth, visit) => {
    const found = {};
    let last = null;
    if (take("}")) return found;
    do {
      const begin = at;
      const name = string();
      if (last !== null && !before(last, name)) wrong("names are not in order");
      last = name;
      if (!take(":")) wrong("a colon is missing");
      const value = any(depth + 1);
      Object.defineProperty(found, name, { value, enumerable: true });
      visit?.(name, value, text.slice(begin, at));
    } while (take(","));
    if (!take("}")) wrong("a bracket is missing");
    return found;
  };
  const any = (depth) => {
    if (depth > DEPTH) wrong("it is nested too deep");
    if (take("{")) return object(depth);
    if (take("[")) {
      const items = [];
      if (take("]")) return items;
      do items.push(any(depth + 1));
      while (take(","));
      if (!take("]")) wrong("a bracket is missing");
      return items;
    }
    if (text[at] === '"') return string();
    if (take("true")) return true;
    if (take("false")) return false;
    if (take("null")) return null;
    const digits = /^-?(0|[1-9][0-9]*)(?![.eE0-9])/.exec(text.slice(at, at + 400));
    if (!digits) wrong("there is no value");
    at += digits[0].length;
    return BigInt(digits[0]);
  };
  const members = new Map();
  if (!take("{")) wrong("it does not begin with {");
  object(0, (name, value, raw) => members.set(name, { value, raw }));
  if (text.slice(at) !== "\n") wrong("there is something behind its end");
  return members;
}

// The bytes that digest and signature cover: all members but these two.
function covered(members) {
  const raw = [...members].filter(([name]) => name !== "digest" && name !== "signature").map(([, member]) => member.raw);
  return new TextEncoder().encode(`{${raw.join(",")}}`);
}

function hex(bytes) {
  return [...new Uint8Array(bytes)].map((one) => one.toString(16).padStart(2, "0")).join("");
}

function bytesOf(text) {
  if (typeof text !== "string" || !/^([0-9a-f]{2})*$/.test(text)) throw new EvidenceError("The signature is none.");
  return new Uint8Array((text.match(/../g) || []).map((one) => parseInt(one, 16)));
}

// The public key in a PEM file, as openssl pkey -pubout writes it.
export async function publicKey(text) {
  const found = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----/.exec(text);
  if (!found) throw new EvidenceError("The key file holds no public key in PEM form. A private key does not belong here.");
  const der = Uint8Array.from(atob(found[1].replace(/\s/g, "")), (one) => one.charCodeAt(0));
  try {
    const key = await crypto.subtle.importKey("spki", der, { name: "Ed25519" }, true, ["verify"]);
    return { key, raw: hex(await crypto.subtle.exportKey("raw", key)) };
  } catch {
    throw new EvidenceError("The key file holds no Ed25519 key, or this browser does not know such keys.");
  }
}

// What can be said of a document, as {isIntact, digest, signature: "none" | "valid" | "wrong" | "other key" | "unchecked", members}.
export async function check(text, key) {
  if (!globalThis.crypto?.subtle) throw new EvidenceError("This browser checks signatures on pages from https or from this computer only. Open the console there.");
  const members = membersOf(text);
  const bytes = covered(members);
  const digest = hex(await crypto.subtle.digest("SHA-256", bytes));
  const signed = members.get("signature")?.value;
  let signature = signed ? "unchecked" : "none";
  if (signed && key) {
    if (signed.algorithm !== "Ed25519") signature = "wrong";
    else if (signed.public_key !== key.raw) signature = "other key";
    else signature = (await crypto.subtle.verify({ name: "Ed25519" }, key.key, bytesOf(signed.value), bytes)) ? "valid" : "wrong";
  }
  return { isIntact: members.get("digest")?.value === digest, digest, signature, members };
}

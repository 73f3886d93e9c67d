// Reads documents of evidence as they stand in their files, and checks digest and signature over the very bytes. The
// signature stands in a file of its own: a DSSE envelope around an in-toto statement about the document.
//
// The form is canonical: keys sorted, no white space, whole numbers. What is in another form is not a document of ours, so
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

// The bytes that the digest covers: all members but itself.
function covered(members) {
  const raw = [...members].filter(([name]) => name !== "digest").map(([, member]) => member.raw);
  return new TextEncoder().encode(`{${raw.join(",")}}`);
}

function hex(bytes) {
  return [...new Uint8Array(bytes)].map((one) => one.toString(16).padStart(2, "0")).join("");
}

function bytesOf(text) {
  try {
    return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  } catch {
    throw new EvidenceError("The envelope is none: what it holds is not base64.");
  }
}

// The envelope in a file: {payload, type, signature, subject}; subject is the digest of the document it speaks of.
export function envelopeOf(text) {
  try {
    const { payload, payloadType: type, signatures: [{ sig }] } = JSON.parse(text);
    const bytes = bytesOf(payload);
    const subject = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)).subject[0].digest.sha256;
    return { payload: bytes, type, signature: bytesOf(sig), subject };
  } catch (error) {
    if (error instanceof EvidenceError) throw error;
    throw new EvidenceError("The envelope is none, or speaks of no document.");
  }
}

// What an envelope's signature covers, as DSSE has it: type and payload, each behind its length.
function signedBytes({ type, payload }) {
  const name = new TextEncoder().encode(type);
  const head = new TextEncoder().encode(`DSSEv1 ${name.length} ${type} ${payload.length} `);
  const all = new Uint8Array(head.length + payload.length);
  all.set(head);
  all.set(payload, head.length);
  return all;
}

// The public key in a PEM file, as openssl pkey -pubout writes it.
export async function publicKey(text) {
  const found = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----/.exec(text);
  if (!found) throw new EvidenceError("The key file holds no public key in PEM form. A private key does not belong here.");
  const der = Uint8Array.from(atob(found[1].replace(/\s/g, "")), (one) => one.charCodeAt(0));
  try {
    const key = await crypto.subtle.importKey("spki", der, { name: "Ed25519" }, false, ["verify"]);
    return key;
  } catch {
    throw new EvidenceError("The key file holds no Ed25519 key, or this browser does not know such keys.");
  }
}

// What can be said of a document, as {isIntact, digest, signature: "none" | "valid" | "wrong" | "other document" | "unchecked", members}.
export async function check(text, key, envelope) {
  if (!globalThis.crypto?.subtle) throw new EvidenceError("This browser checks signatures on pages from https or from this computer only. Open the console there.");
  const members = membersOf(text);
  const digest = hex(await crypto.subtle.digest("SHA-256", covered(members)));
  const isIntact = members.get("digest")?.value === digest;
  let signature = "none";
  if (envelope) {
    const content = hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    if (envelope.subject !== content) signature = "other document";
    else if (!key) signature = "unchecked";
    else signature = (await crypto.subtle.verify({ name: "Ed25519" }, key, envelope.signature, signedBytes(envelope))) ? "valid" : "wrong";
  }
  return { isIntact, digest, signature, members };
}

// Reads an AsyncAPI document with AsyncAPI's own parser, Avro schemas included: `node check.mjs FILE`.
// Prints what is wrong, one line each, and exits with 1 if anything is an error.
import { readFileSync } from "node:fs";
import { AvroSchemaParser } from "@asyncapi/avro-schema-parser";
import { Parser } from "@asyncapi/parser";

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(readFileSync(process.argv[2], "utf8"));
const errors = diagnostics.filter((one) => one.severity === 0);
for (const one of errors) {
  console.log(`${one.path.join(".")}: ${one.message}`);
}
if (errors.length > 0 || document === undefined) {
  process.exit(1);
}
console.log(`${document.channels().length} channels, ${document.operations().length} operations`);

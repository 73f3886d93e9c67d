// Reads a CSAF 2.0 document with a validator of others: `node check.mjs FILE`, its schema and all mandatory tests.
// Prints what is wrong, one line each, and exits with 1 if anything is an error.
import { readFileSync } from "node:fs";
import * as mandatory from "@secvisogram/csaf-validator-lib/mandatoryTests.js";
import * as schema from "@secvisogram/csaf-validator-lib/schemaTests.js";
import validate from "@secvisogram/csaf-validator-lib/validate.js";

const tests = [schema.csaf_2_0, ...Object.values(mandatory)];
const result = await validate(tests, JSON.parse(readFileSync(process.argv[2], "utf8")));
for (const test of result.tests) {
  for (const error of test.errors ?? []) {
    console.log(`${test.name}: ${error.instancePath}: ${error.message}`);
  }
}
if (!result.isValid) {
  process.exit(1);
}
console.log(`${result.tests.length} tests`);

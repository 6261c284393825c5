import { policyJsonSchema } from './policy.js';

/** What `winnow init ci` writes, by path. */
export const ciFiles = (): Readonly<Record<string, string>> => ({
  'gate.yaml': policyText,
  'gate.schema.json': `${JSON.stringify(policyJsonSchema(), undefined, 2)}\n`,
  '.github/workflows/winnow.yml': workflowText,
});

const policyText = `# yaml-language-server: $schema=./gate.schema.json
# What winnow gate lets pass. Reference numerics give the same answers on every machine, so outputs and counts are held exactly.
version: 1
outputs: exact          # any changed answer is a regression; ignore: only scores count
counted:
  tolerance: 0          # bytes, tokens, density: exactly as before
quality:
  per: setting          # each method and budget over all its cells
  margin: 0.01          # a loss of one point of a hundred counts as none
  alpha: 0.05           # chance of a false alarm, over all settings together
# time:                 # needs timing passes of both sides, taken in turns on one machine (docs/statistics.md)
#   quantities: [timeToFirstTokenMs, decodeMsPerToken]
#   tolerance: 0.05
missing: fail
inconclusive: fail      # exit code 4 where the samples cannot settle it
waivers: []
#  - {method: snapkv, check: counted, reason: keeps two more tokens since it pads, owner: your-name, expires: 2027-01-31}
`;

const workflowText = `# Runs a small suite in reference numerics and holds it against the committed baseline.
# The baseline is a run directory: npx winnow run smoke --numerics reference --out results/baselines/smoke
name: winnow
on: [pull_request]
permissions:
  contents: read
jobs:
  gate:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
      - uses: actions/setup-node@39370e3970a6d050c480ffad4ff0ed4d3fdee5af # v4.1.0
        with:
          node-version: 22
          cache: npm
      - uses: actions/cache@1bd1e32a3bdc45362d1e726936510720a7c30a57 # v4.2.0
        with:
          path: ~/.cache/winnow
          key: winnow-models
      - run: npm ci
      - run: npx winnow run smoke --numerics reference --out results/runs/candidate
      - run: npx winnow gate --baseline results/baselines/smoke --candidate results/runs/candidate --policy gate.yaml --github --report junit=gate.xml --report json=gate.json
      - uses: actions/upload-artifact@b4b15b8c7c6ac21ea08fcf65892d2ee8f75cf882 # v4.4.3
        if: always()
        with:
          name: winnow
          path: |
            gate.xml
            gate.json
            results/runs/candidate
`;

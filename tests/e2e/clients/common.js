// What the trials of the JavaScript clients share: the test talks to them by lines.
'use strict';

const assert = require('assert');
const readline = require('readline');

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Tells the test where the trial is, and waits until it says to go on.
async function tell(word) {
  console.log(word);
  await lines.next();
}

// Runs a trial with a client of its own: connect, pipeline, and go on after the proxy was restarted.
async function run(trial) {
  try {
    await trial(assert, tell);
    process.exit(0);
  } catch (error) {
    console.log('failed: ' + error.stack);
    process.exit(1);
  }
}

module.exports = { run };

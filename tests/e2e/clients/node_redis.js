// node-redis with its default settings. Arguments: URL, and 3 for RESP3.
'use strict';

const { createClient } = require('redis');
const { run } = require('./common');

run(async (assert, tell) => {
  const options = { url: process.argv[2] };
  if (process.argv[3]) options.RESP = Number(process.argv[3]);
  const client = createClient(options);
  const errors = [];
  client.on('error', (error) => errors.push(error));
  await client.connect();

  assert.strictEqual(await client.ping(), 'PONG');
  assert.strictEqual(await client.set('node:a', 'hello'), 'OK');
  assert.strictEqual(await client.get('node:a'), 'hello');
  assert.strictEqual(await client.get('node:none'), null);
  assert.strictEqual(await client.incrBy('node:n', 41) - 41, await client.decrBy('node:n', 41));
  await client.mSet({ 'node:x': '1', 'node:y': '2' });
  assert.deepStrictEqual(await client.mGet(['node:x', 'node:none', 'node:y']), ['1', null, '2']);
  await assert.rejects(client.sendCommand(['NONSENSE']), /unknown command/);

  // Commands of one turn are one pipeline.
  const set = [];
  for (let i = 0; i < 1000; i++) set.push(client.set(`node:${i}`, String(i)));
  assert(( await Promise.all(set)).every((reply) => reply === 'OK'));
  const got = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.get(`node:${i}`)));
  got.forEach((value, i) => assert.strictEqual(value, String(i)));

  await tell('before');
  assert.strictEqual(await client.get('node:a'), 'hello');
  assert.strictEqual(await client.set('node:a', 'again'), 'OK');
  assert.strictEqual(await client.get('node:a'), 'again');
  await client.close();
  await tell('after');
});

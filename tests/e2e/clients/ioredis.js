// ioredis with its default settings. Argument: URL.
'use strict';

const Redis = require('ioredis');
const { run } = require('./common');

run(async (assert, tell) => {
  const client = new Redis(process.argv[2]);
  client.on('error', () => {}); // it reconnects by itself

  assert.strictEqual(await client.ping(), 'PONG');
  assert.strictEqual(await client.set('io:a', 'hello'), 'OK');
  assert.strictEqual(await client.get('io:a'), 'hello');
  assert.strictEqual(await client.get('io:none'), null);
  assert.deepStrictEqual(await client.getBuffer('io:a'), Buffer.from('hello'));
  await client.mset('io:x', '1', 'io:y', '2');
  assert.deepStrictEqual(await client.mget('io:x', 'io:none', 'io:y'), ['1', null, '2']);
  await assert.rejects(client.call('NONSENSE'), /unknown command/);

  const pipeline = client.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.set(`io:${i}`, i).get(`io:${i}`);
  const replies = await pipeline.exec();
  replies.forEach(([error, reply], i) => {
    assert.strictEqual(error, null);
    assert.strictEqual(reply, i % 2 ? String((i - 1) / 2) : 'OK');
  });
  assert.deepStrictEqual(await client.multi().set('io:m', '1').incr('io:m').exec(), [[null, 'OK'], [null, 2]]);

  await tell('before');
  assert.strictEqual(await client.get('io:a'), 'hello');
  assert.strictEqual(await client.set('io:a', 'again'), 'OK');
  assert.strictEqual(await client.get('io:a'), 'again');
  await client.quit();
  await tell('after');
});

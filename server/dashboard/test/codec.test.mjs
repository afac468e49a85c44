
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Codec } from '../codec.js';
import { Reader } from '../wire.js';
import { Frames, createClient } from '../grpcweb.js';

/** The newest descriptor set that cargo built. */
function descriptors() {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
  const list = (path) => { try { return readdirSync(path); } catch { return []; } };
  const found = [];
  for (const profile of list(target)) {
    const build = join(target, profile, 'build');
    for (const unit of list(build).filter((name) => name.startsWith('footpath-proto-'))) {
      const path = join(build, unit, 'out', 'footpath.bin');
      try { found.push({ path, at: statSync(path).mtimeMs }); } catch { /* the build script itself has no output */ }
    }
  }
  if (found.length === 0) throw new Error('no descriptor set: run `cargo build -p footpath-proto` first');
  return readFileSync(found.sort((a, b) => b.at - a.at)[0].path);
}

const codec = new Codec(descriptors());
const P = 'footpath.v1.';
const again = (type, object) => codec.decode(P + type, codec.encode(P + type, object));
const hex = (bytes) => Buffer.from(bytes).toString('hex');

test('knows every service and its types', () => {
  const names = [...codec.services.keys()].filter((n) => n.startsWith(P));
  assert.deepEqual(names.sort(), ['Admin', 'Alert', 'Catalog', 'Definition', 'Ingest', 'Live', 'Person', 'Query'].map((n) => `${P}${n}Service`));
  assert.deepEqual(codec.services.get(`${P}LiveService`).get('Watch'), { input: `${P}WatchRequest`, output: `${P}WatchResponse` });
});

test('writes the bytes that protobuf prescribes', () => {
  // project = field 1, "demo"; page_size = field 2, 300 (two-byte varint).
  assert.equal(hex(codec.encode(`${P}ListFunnelsRequest`, { project: 'demo', pageSize: 300 })), '0a0464656d6f10ac02');
  // change is sint64, packed: 3, -1, 0 -> zigzag 6, 1, 0.
  assert.equal(hex(codec.encode(`${P}FunnelDelta`, { change: [3, -1, 0] })), '1203060100');
  // Defaults without presence are left out.
  assert.equal(hex(codec.encode(`${P}ListFunnelsRequest`, { project: '', pageSize: 0 })), '');
  // A oneof's member keeps its zero.
  assert.equal(hex(codec.encode(`${P}Value`, { boolValue: false })), '3000');
});

test('a watch message comes back as it went, defaults filled in', () => {
  const message = again('WatchResponse', {
    funnelDelta: { subscriptionId: 'f', change: [1, -2], reached: [10, 5], causes: [{ cause: 'CAUSE_LATE_EVENT', persons: 3, change: [0, -2] }], cursor: 'c' },
  });
  assert.deepEqual(message, {
    funnelDelta: { subscriptionId: 'f', change: [1, -2], reached: [10, 5], causes: [{ cause: 'CAUSE_LATE_EVENT', persons: 3, change: [0, -2] }], cursor: 'c', slices: [] },
  });
  assert.deepEqual(again('FunnelSnapshot', {}).reached, []);
  assert.equal(again('FunnelSnapshot', {}).state, 'DEFINITION_STATE_UNSPECIFIED');
  assert.equal(again('FunnelSnapshot', {}).watermark, undefined);
});

test('64-bit integers stay exact', () => {
  for (const value of [0, 1, -1, 127, 128, -129, 2 ** 49, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER,
    2n ** 63n - 1n, -(2n ** 63n)]) {
    assert.equal(again('Value', { intValue: value }).intValue, value);
    assert.deepEqual(again('FunnelDelta', { change: [value] }).change, [value]);
  }
  assert.equal(again('Watermark', { position: 2n ** 64n - 1n }).position, 2n ** 64n - 1n);
});

test('small integers, doubles, bytes', () => {
  assert.equal(again('Money', { nanos: -999_999_999 }).nanos, -999_999_999);
  assert.equal(again('Refusal', { index: 2 ** 32 - 1 }).index, 2 ** 32 - 1);
  assert.equal(again('Value', { doubleValue: -0.1 }).doubleValue, -0.1);
  assert.deepEqual(again('Event', { rawId: new Uint8Array([1, 2]) }).rawId, new Uint8Array([1, 2]));
});

test('an unset optional field differs from zero', () => {
  assert.equal('lane' in again('Event', {}), false);
  assert.equal(again('Event', { lane: 0 }).lane, 0);
});

test('maps, nested values, and a key that would change the prototype', () => {
  const properties = { a: { stringValue: 'ä' }, list: { listValue: { values: [{ intValue: 1 }, { boolValue: false }] } } };
  assert.deepEqual(again('Event', { properties }).properties, properties);
  const hostile = JSON.parse('{"__proto__":{"polluted":true}}');
  const back = again('Event', { plainProperties: hostile }).plainProperties;
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  assert.deepEqual(Object.keys(back), ['__proto__']);
});

test('Struct is a plain object', () => {
  const plainProperties = { s: 'x', n: 1.5, zero: 0, t: true, f: false, nil: null, list: [1, 'a', [null]], deep: { a: { b: {} } } };
  assert.deepEqual(again('Event', { plainProperties }).plainProperties, plainProperties);
});

test('times keep their nanoseconds, durations are seconds', () => {
  const time = new Date('2026-11-24T06:30:00.123Z');
  time.nanos = 123_456_789;
  const back = again('Event', { time }).time;
  assert.equal(back.getTime(), time.getTime());
  assert.equal(back.nanos, 123_456_789);
  const old = again('Event', { time: '1969-12-31T23:59:59.750Z' }).time;
  assert.equal(old.getTime(), -250);
  for (const seconds of [0, 1.5, -2.25, 3600]) assert.equal(again('Refusal', { retryAfter: seconds }).retryAfter, seconds);
  assert.equal(again('Refusal', { retryAfter: '2.5s' }).retryAfter, 2.5);
});

test('the last member of a oneof wins', () => {
  const both = Buffer.concat([codec.encode(`${P}Value`, { intValue: 1 }), codec.encode(`${P}Value`, { stringValue: 'x' })]);
  assert.deepEqual(codec.decode(`${P}Value`, both), { stringValue: 'x' });
  assert.throws(() => codec.encode(`${P}Value`, { intValue: 1, stringValue: 'x' }), /oneof/);
});

test('unknown enum numbers and unknown fields do no harm', () => {
  assert.equal(codec.decode(`${P}CauseCount`, Buffer.from('0863', 'hex')).cause, 99);
  assert.equal(codec.decode(`${P}CauseCount`, Buffer.from('10057a01aa', 'hex')).persons, 5);
  assert.throws(() => codec.encode(`${P}CauseCount`, { cause: 'CAUSE_NONE' }), /no value/);
  assert.throws(() => codec.encode(`${P}CauseCount`, { person: 1 }), /no field/);
});

test('every cut of a message is an error or a shorter message, never a hang', () => {
  const whole = codec.encode(`${P}StoredEvent`, { id: 'i', name: 'n', receivedAt: new Date(0.5e12), properties: { a: [1, { b: 'c' }] }, offset: 2 ** 40 });
  for (let length = 0; length < whole.length; length += 1) {
    try {
      codec.decode(`${P}StoredEvent`, whole.subarray(0, length));
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error));
    }
  }
  assert.throws(() => new Reader(new Uint8Array(11).fill(0xff)).varint(), RangeError);
});

test('frames are whole however the network cuts them', () => {
  const bytes = Buffer.from('000000000201020000000000800000000103', 'hex');
  for (let step = 1; step <= bytes.length; step += 1) {
    const frames = new Frames();
    const got = [];
    for (let at = 0; at < bytes.length; at += step) got.push(...frames.push(bytes.subarray(at, at + step)));
    assert.deepEqual(got.map((f) => [f.flags, hex(f.payload)]), [[0, '0102'], [0, ''], [0x80, '03']], `step ${step}`);
  }
});

/** Answers the next fetch with these frames. */
function answer(t, body, headers = {}, status = 200) {
  t.mock.method(globalThis, 'fetch', async () => new Response(body, { status, headers }));
}
const framed = (flags, payload) => {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
};
const client = createClient(codec, () => 'token', 'http://server');
const list = () => client.unary('DefinitionService', 'ListFunnels', { project: 'demo' });

test('a unary call returns its message', async (t) => {
  const page = codec.encode(`${P}ListFunnelsResponse`, { funnels: [{ id: 'checkout' }] });
  answer(t, Buffer.concat([framed(0, page), framed(0x80, Buffer.from('grpc-status:0\r\n'))]));
  assert.equal((await list()).funnels[0].id, 'checkout');
});

test('a list is asked for page by page, to its end', async (t) => {
  const pages = { '': { funnels: [{ id: 'a' }, { id: 'b' }], nextPageToken: 'second' }, second: { funnels: [{ id: 'c' }] } };
  const asked = [];
  t.mock.method(globalThis, 'fetch', async (_url, { body }) => {
    const { pageToken } = codec.decode(`${P}ListFunnelsRequest`, body.subarray(5));
    asked.push(pageToken);
    const page = codec.encode(`${P}ListFunnelsResponse`, pages[pageToken]);
    return new Response(Buffer.concat([framed(0, page), framed(0x80, Buffer.from('grpc-status:0\r\n'))]));
  });
  const funnels = await client.list('DefinitionService', 'ListFunnels', 'funnels', { project: 'demo' });
  assert.deepEqual([funnels.map((f) => f.id), asked], [['a', 'b', 'c'], ['', 'second']]);
});

test('an error carries code, message and reason', async (t) => {
  const string = (number, value) => Buffer.concat([Buffer.from([number * 8 + 2, value.length]), Buffer.from(value)]);
  const any = Buffer.concat([string(1, 'type.googleapis.com/google.rpc.ErrorInfo'), string(2, string(1, 'no_such_project'))]);
  const details = string(3, any).toString('base64').replace(/=+$/, '');
  answer(t, framed(0x80, Buffer.from(`grpc-status: 5\r\ngrpc-message: no%20project\r\ngrpc-status-details-bin: ${details}\r\n`)));
  await assert.rejects(list(), { code: 'NOT_FOUND', message: 'no project', reason: 'no_such_project' });
});

test('an error in the headers, a bare HTTP error, a cut answer, no server', async (t) => {
  answer(t, '', { 'grpc-status': '16', 'grpc-message': 'who' });
  await assert.rejects(list(), { code: 'UNAUTHENTICATED', message: 'who' });
  answer(t, 'busy', {}, 503);
  await assert.rejects(list(), { code: 'UNAVAILABLE' });
  answer(t, framed(0, Buffer.alloc(0)));
  await assert.rejects(list(), { code: 'UNAVAILABLE', message: /ended before/ });
  t.mock.method(globalThis, 'fetch', async () => { throw new TypeError('fetch failed'); });
  await assert.rejects(list(), { code: 'UNAVAILABLE', message: /cannot be reached/ });
});

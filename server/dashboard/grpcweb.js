// gRPC-Web over fetch: unary calls and server streams, with trailers and google.rpc error reasons.

import { Reader } from './wire.js';

const PACKAGE = 'footpath.v1';
const TRAILERS = 0x80;
const COMPRESSED = 0x01;

/** gRPC codes by number. */
export const CODES = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS',
  'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE',
  'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
];

/** A call that did not end in OK: `code` by name, `message` for people, `reason` stable, or empty. */
export class RpcError extends Error {
  constructor(code, message, reason = '') {
    super(message || code);
    this.name = 'RpcError';
    this.code = code;
    this.reason = reason;
  }
}

// As the gRPC documentation maps HTTP to gRPC, for answers that never reached the service.
const HTTP_CODES = { 400: 'INTERNAL', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'UNIMPLEMENTED', 429: 'UNAVAILABLE', 502: 'UNAVAILABLE', 503: 'UNAVAILABLE', 504: 'UNAVAILABLE' };

function percentDecode(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** google.rpc.Status -> details (Any) -> ErrorInfo.reason; empty when there is none. */
function reasonOf(base64) {
  if (!base64) return '';
  try {
    const status = bytesOf(base64);
    for (const any of fieldsOf(status, 3)) {
      const [url] = fieldsOf(any, 1);
      const [value] = fieldsOf(any, 2);
      if (!url || !value || !new TextDecoder().decode(url).endsWith('/google.rpc.ErrorInfo')) continue;
      const [reason] = fieldsOf(value, 1);
      return reason ? new TextDecoder().decode(reason) : '';
    }
  } catch {
    // Details are an extra: without them the code and the message still stand.
  }
  return '';
}

function bytesOf(base64) {
  const standard = base64.split(',')[0].replace(/-/g, '+').replace(/_/g, '/');
  return Uint8Array.from(atob(standard), (c) => c.charCodeAt(0));
}

function fieldsOf(bytes, wanted) {
  const found = [];
  const reader = new Reader(bytes);
  while (!reader.done) {
    const { number, wire } = reader.tag();
    if (number === wanted && wire === 2) found.push(reader.delimited());
    else reader.skip(wire);
  }
  return found;
}

/** Throws unless the status (from trailers or headers, read by `get`) is OK. */
function check(get) {
  const status = Number(get('grpc-status'));
  if (status === 0) return;
  const code = CODES[status] ?? 'UNKNOWN';
  throw new RpcError(code, percentDecode(get('grpc-message') ?? ''), reasonOf(get('grpc-status-details-bin')));
}

function parseTrailers(bytes) {
  const trailers = new Map();
  for (const line of new TextDecoder().decode(bytes).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return trailers;
}

/** Cuts a byte stream into gRPC-Web frames, however the network cut it. */
export class Frames {
  constructor() {
    this.chunks = [];
    this.size = 0;
  }

  /** Adds bytes and returns the frames that are now whole. */
  push(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    const frames = [];
    for (let frame = this.#next(); frame; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next() {
    if (this.size < 5) return null;
    // Joined only when a frame may be whole: joining per chunk would be quadratic.
    if (this.wanted && this.size < this.wanted) return null;
    const bytes = this.#join();
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    this.wanted = 5 + length;
    if (bytes.length < this.wanted) return null;
    const payload = bytes.subarray(5, this.wanted);
    const rest = bytes.subarray(this.wanted);
    this.chunks = [rest];
    this.size = rest.length;
    this.wanted = 0;
    return { flags: bytes[0], payload };
  }

  #join() {
    if (this.chunks.length === 1) return this.chunks[0];
    const joined = new Uint8Array(this.size);
    let at = 0;
    for (const chunk of this.chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    this.chunks = [joined];
    return joined;
  }
}

function frame(payload) {
  const framed = new Uint8Array(5 + payload.length);
  new DataView(framed.buffer).setUint32(1, payload.length);
  framed.set(payload, 5);
  return framed;
}

/**
 * A client of one origin.
 * @param {import('./codec.js').Codec} codec
 * @param {() => string} token the bearer token of calls that bring none of their own
 * @param {string} origin empty for the page's own
 */
export function createClient(codec, token, origin = '') {
  /** Reads one server stream to its end; throws RpcError unless it ended in OK. */
  async function stream(service, method, request, onMessage, signal, options = {}) {
    const name = `${PACKAGE}.${service}`;
    const types = codec.services.get(name)?.get(method);
    if (!types) throw new RpcError('UNIMPLEMENTED', `the server has no ${name}/${method}`);
    const headers = { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' };
    const bearer = options.token ?? token();
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    const body = frame(codec.encode(types.input, request));
    const response = await guarded(signal, () => fetch(`${origin}/${name}/${method}`, {
      method: 'POST', headers, body, signal, cache: 'no-store', credentials: 'omit',
    }));
    if (response.headers.has('grpc-status')) check((key) => response.headers.get(key));
    if (!response.ok) {
      throw new RpcError(HTTP_CODES[response.status] ?? 'UNKNOWN', `the server answered HTTP ${response.status}`);
    }
    const ended = await readFrames(response, signal, (payload) => onMessage(codec.decode(types.output, payload)));
    if (!ended && !response.headers.has('grpc-status')) {
      throw new RpcError('UNAVAILABLE', 'the connection ended before the answer did');
    }
  }

  /** True if the trailers came. The body is read to its end, or the connection could not be used again. */
  async function readFrames(response, signal, onPayload) {
    const reader = response.body.getReader();
    const frames = new Frames();
    let ended = false;
    try {
      for (;;) {
        const { done, value } = await guarded(signal, () => reader.read());
        if (done) return ended;
        for (const { flags, payload } of frames.push(value)) {
          if (flags & TRAILERS) {
            const trailers = parseTrailers(payload);
            check((key) => trailers.get(key));
            ended = true;
            continue;
          }
          if (flags & COMPRESSED) throw new RpcError('INTERNAL', 'the answer is compressed, which was not asked for');
          onPayload(payload);
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /** Calls a method that answers once. `options.token` replaces the client's token, `options.timeoutMs` its 15 s. */
  async function unary(service, method, request, options = {}) {
    let answer;
    const signal = AbortSignal.timeout(options.timeoutMs ?? 15_000);
    await stream(service, method, request, (message) => { answer = message; }, signal, options);
    if (answer === undefined) throw new RpcError('INTERNAL', 'the answer is empty');
    return answer;
  }

  /** Everything that a paged list holds: its pages are asked for until there is none. `field` is what an answer calls them. */
  async function list(service, method, field, request) {
    const all = [];
    let pageToken = '';
    do {
      const page = await unary(service, method, { ...request, pageToken });
      all.push(...page[field]);
      pageToken = page.nextPageToken;
    } while (pageToken);
    return all;
  }

  return { unary, list, stream };
}

/** Turns what fetch throws into RpcError. */
async function guarded(signal, work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RpcError) throw error;
    if (signal?.aborted) {
      const timeout = signal.reason?.name === 'TimeoutError';
      throw new RpcError(timeout ? 'DEADLINE_EXCEEDED' : 'CANCELLED', timeout ? 'no answer in time' : 'cancelled');
    }
    throw new RpcError('UNAVAILABLE', 'the server cannot be reached');
  }
}

// The well-known types, written by hand: built in, so they work whether or not the descriptor set carries its
// imports, and in the shapes that are handy in a page.

import { Reader, SCALARS, Writer } from './wire.js';

/** Sets an own property even when the key is "__proto__": keys of maps come from anyone. */
export function put(object, key, value) {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  } else {
    object[key] = value;
  }
}

/** Reads the fields of a well-known type: `visit` returns false for what it does not know. */
function eachField(bytes, visit) {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const { number, wire } = reader.tag();
    if (visit(reader, number) === false) reader.skip(wire);
  }
}

function readSecondsNanos(bytes) {
  let seconds = 0;
  let nanos = 0;
  eachField(bytes, (r, n) => {
    if (n === 1) seconds = Number(SCALARS[3].read(r));
    else if (n === 2) nanos = SCALARS[5].read(r);
    else return false;
    return true;
  });
  return { seconds, nanos };
}

function writeSecondsNanos(seconds, nanos) {
  const writer = new Writer();
  if (seconds !== 0) {
    writer.tag(1, 0);
    writer.varint(seconds);
  }
  if (nanos !== 0) {
    writer.tag(2, 0);
    writer.varint(nanos);
  }
  return writer.finish();
}

const timestamp = {
  decode(bytes) {
    const { seconds, nanos } = readSecondsNanos(bytes);
    const date = new Date(seconds * 1000 + Math.floor(nanos / 1e6));
    date.nanos = nanos;
    return date;
  },
  encode(value) {
    const date = value instanceof Date ? value : new Date(value);
    const ms = date.getTime();
    if (Number.isNaN(ms)) throw new TypeError(`protobuf: "${value}" is not a time`);
    const seconds = Math.floor(ms / 1000);
    return writeSecondsNanos(seconds, date.nanos ?? (ms - seconds * 1000) * 1e6);
  },
};

const duration = {
  decode(bytes) {
    const { seconds, nanos } = readSecondsNanos(bytes);
    return seconds + nanos / 1e9;
  },
  encode(value) {
    const total = typeof value === 'string' ? Number(value.replace(/s$/, '')) : Number(value);
    if (!Number.isFinite(total)) throw new TypeError(`protobuf: "${value}" is not a duration in seconds`);
    const whole = Math.trunc(total);
    return writeSecondsNanos(whole, Math.round((total - whole) * 1e9));
  },
};

const struct = {
  decode(bytes) {
    const out = {};
    eachField(bytes, (r, n) => {
      if (n !== 1) return false;
      let key = '';
      let value = null;
      eachField(r.delimited(), (entry, part) => {
        if (part === 1) key = SCALARS[9].read(entry);
        else if (part === 2) value = plainValue.decode(entry.delimited());
        else return false;
        return true;
      });
      put(out, key, value);
      return true;
    });
    return out;
  },
  encode(object) {
    const writer = new Writer();
    for (const [key, value] of Object.entries(object)) {
      if (value === undefined) continue;
      const entry = new Writer();
      entry.tag(1, 2);
      SCALARS[9].write(entry, key);
      entry.tag(2, 2);
      entry.delimited(plainValue.encode(value));
      writer.tag(1, 2);
      writer.delimited(entry.finish());
    }
    return writer.finish();
  },
};

const plainList = {
  decode(bytes) {
    const out = [];
    eachField(bytes, (r, n) => n === 1 && (out.push(plainValue.decode(r.delimited())), true));
    return out;
  },
  encode(list) {
    const writer = new Writer();
    for (const value of list) {
      writer.tag(1, 2);
      writer.delimited(plainValue.encode(value));
    }
    return writer.finish();
  },
};

const plainValue = {
  decode(bytes) {
    let value = null;
    eachField(bytes, (r, n) => {
      if (n === 1) value = (r.varint(), null);
      else if (n === 2) value = SCALARS[1].read(r);
      else if (n === 3) value = SCALARS[9].read(r);
      else if (n === 4) value = SCALARS[8].read(r);
      else if (n === 5) value = struct.decode(r.delimited());
      else if (n === 6) value = plainList.decode(r.delimited());
      else return false;
      return true;
    });
    return value;
  },
  encode(value) {
    const writer = new Writer();
    const scalar = (number, type, v) => {
      writer.tag(number, SCALARS[type].wire);
      SCALARS[type].write(writer, v);
    };
    if (value === null) scalar(1, 3, 0);
    else if (typeof value === 'number') scalar(2, 1, value);
    else if (typeof value === 'string') scalar(3, 9, value);
    else if (typeof value === 'boolean') scalar(4, 8, value);
    else {
      const list = Array.isArray(value);
      writer.tag(list ? 6 : 5, 2);
      writer.delimited(list ? plainList.encode(value) : struct.encode(value));
    }
    return writer.finish();
  },
};

export const WELL_KNOWN = {
  'google.protobuf.Timestamp': timestamp,
  'google.protobuf.Duration': duration,
  'google.protobuf.Struct': struct,
  'google.protobuf.Value': plainValue,
  'google.protobuf.ListValue': plainList,
};

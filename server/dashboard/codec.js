// A small protobuf codec that learns every type from the server's own descriptors, so the page never
// holds a copy of the schema that could fall behind.
//
// Objects look like proto3 JSON: lowerCamelCase names, enums by name, maps as plain objects, only the
// set member of a oneof. What differs, because it is handier in a page:
//   64-bit integers   Number while exact, else BigInt
//   bytes             Uint8Array
//   Timestamp         Date, with `nanos` (of the second) kept beside it, because a Date stops at ms
//   Duration          Number of seconds
//   Struct            plain object

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: true });

/** Reads wire format. Throws RangeError on anything cut short or malformed. */
export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  get done() {
    return this.at >= this.bytes.length;
  }

  byte() {
    if (this.done) throw new RangeError('protobuf: message is cut short');
    return this.bytes[this.at++];
  }

  /** An unsigned varint: Number while exact, else BigInt. */
  varint() {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 7; i += 1) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    let big = BigInt(value);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      big |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return narrow(BigInt.asUintN(64, big));
    }
    throw new RangeError('protobuf: varint is longer than 10 bytes');
  }

  take(length) {
    if (typeof length !== 'number' || length > this.bytes.length - this.at) {
      throw new RangeError('protobuf: message is cut short');
    }
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  delimited() {
    return this.take(this.varint());
  }

  fixed(size) {
    this.take(size);
    return this.at - size;
  }

  /** The next field's number and wire type. */
  tag() {
    const tag = Number(this.varint());
    const number = Math.floor(tag / 8);
    if (number === 0) throw new RangeError('protobuf: field number 0');
    return { number, wire: tag % 8 };
  }

  skip(wire) {
    if (wire === 0) this.varint();
    else if (wire === 1) this.take(8);
    else if (wire === 2) this.delimited();
    else if (wire === 5) this.take(4);
    else throw new RangeError(`protobuf: wire type ${wire} is not supported`);
  }
}

/** Writes wire format into a buffer that grows. */
export class Writer {
  constructor() {
    this.bytes = new Uint8Array(64);
    this.length = 0;
  }

  room(size) {
    if (this.length + size <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + size));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** An integer as a varint; negative ones in two's complement, as int32 and int64 want it. */
  varint(value) {
    this.room(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 0x7fn) {
      this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.length++] = Number(rest);
  }

  tag(number, wire) {
    this.varint(number * 8 + wire);
  }

  raw(bytes) {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  delimited(bytes) {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  fixed(size, set, value) {
    const bytes = new Uint8Array(size);
    new DataView(bytes.buffer)[set](0, value, true);
    this.raw(bytes);
  }

  finish() {
    return this.bytes.slice(0, this.length);
  }
}

function narrow(big) {
  const number = Number(big);
  return Number.isSafeInteger(number) ? number : big;
}

const signed = (value) => (typeof value === 'bigint' ? narrow(BigInt.asIntN(64, value)) : value);
const zigzag = (value) => {
  const big = BigInt(value);
  return narrow((big >> 1n) ^ -(big & 1n));
};
const unzigzag = (value) => {
  const big = BigInt(value);
  return big < 0n ? -big * 2n - 1n : big * 2n;
};
const fixedType = (size, get, set, bits = (x) => x, back = narrow) => ({
  wire: size === 8 ? 1 : 5,
  zero: 0,
  read: (r) => back(r.view[get](r.fixed(size), true)),
  write: (w, v) => w.fixed(size, set, bits(v)),
});
const varintType = (read, write = (v) => v) => ({
  wire: 0,
  zero: 0,
  read: (r) => read(r.varint()),
  write: (w, v) => w.varint(write(v)),
});
const same = (x) => x;

// By the numbers of FieldDescriptorProto.Type.
const SCALARS = {
  1: fixedType(8, 'getFloat64', 'setFloat64', Number, same),
  2: fixedType(4, 'getFloat32', 'setFloat32', Number, same),
  3: varintType(signed),
  4: varintType(same),
  5: varintType((v) => Number(BigInt.asIntN(32, BigInt(v)))),
  6: fixedType(8, 'getBigUint64', 'setBigUint64', BigInt),
  7: fixedType(4, 'getUint32', 'setUint32', Number, same),
  8: { ...varintType((v) => v !== 0, Number), zero: false },
  9: {
    wire: 2,
    zero: '',
    read: (r) => text.decode(r.delimited()),
    write: (w, v) => w.delimited(utf8.encode(String(v))),
  },
  12: {
    wire: 2,
    zero: new Uint8Array(0),
    read: (r) => r.delimited().slice(),
    write: (w, v) => w.delimited(v),
  },
  13: varintType((v) => Number(BigInt.asUintN(32, BigInt(v)))),
  15: fixedType(4, 'getInt32', 'setInt32', Number, same),
  16: fixedType(8, 'getBigInt64', 'setBigInt64', BigInt),
  17: varintType((v) => zigzag(v), unzigzag),
  18: varintType((v) => zigzag(v), unzigzag),
};
const MESSAGE = 11;
const ENUM = 14;

// The part of descriptor.proto that is needed: number -> [name, kind]. "*" means repeated.
const DESCRIPTOR = {
  set: { 1: ['files*', 'file'] },
  file: { 2: ['package', 'string'], 4: ['messages*', 'message'], 5: ['enums*', 'enum'], 6: ['services*', 'service'] },
  message: {
    1: ['name', 'string'],
    2: ['fields*', 'field'],
    3: ['messages*', 'message'],
    4: ['enums*', 'enum'],
    7: ['options', 'messageOptions'],
  },
  messageOptions: { 7: ['mapEntry', 'int'] },
  field: {
    1: ['name', 'string'],
    3: ['number', 'int'],
    4: ['label', 'int'],
    5: ['type', 'int'],
    6: ['typeName', 'string'],
    9: ['oneof', 'int'],
    10: ['jsonName', 'string'],
    17: ['optional', 'int'],
  },
  enum: { 1: ['name', 'string'], 2: ['values*', 'enumValue'] },
  enumValue: { 1: ['name', 'string'], 2: ['number', 'int'] },
  service: { 1: ['name', 'string'], 2: ['methods*', 'method'] },
  method: { 1: ['name', 'string'], 2: ['input', 'string'], 3: ['output', 'string'] },
};

function readDescriptor(kind, bytes) {
  const schema = DESCRIPTOR[kind];
  const out = {};
  for (const [name] of Object.values(schema)) if (name.endsWith('*')) out[name.slice(0, -1)] = [];
  const reader = new Reader(bytes);
  while (!reader.done) {
    const { number, wire } = reader.tag();
    const entry = schema[number];
    if (!entry) {
      reader.skip(wire);
      continue;
    }
    const [name, type] = entry;
    let value;
    if (type === 'int') value = Number(reader.varint());
    else if (type === 'string') value = text.decode(reader.delimited());
    else value = readDescriptor(type, reader.delimited());
    if (name.endsWith('*')) out[name.slice(0, -1)].push(value);
    else out[name] = value;
  }
  return out;
}

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, c) => c.toUpperCase());

/** Sets an own property even when the key is "__proto__": keys of maps come from anyone. */
function put(object, key, value) {
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

// Built in, so they work whether or not the descriptor set carries its imports.
const WELL_KNOWN = {
  'google.protobuf.Timestamp': timestamp,
  'google.protobuf.Duration': duration,
  'google.protobuf.Struct': struct,
  'google.protobuf.Value': plainValue,
  'google.protobuf.ListValue': plainList,
};

/** The types and services of one FileDescriptorSet. */
export class Codec {
  /** @param {Uint8Array} descriptorSet an encoded FileDescriptorSet */
  constructor(descriptorSet) {
    this.messages = new Map();
    this.enums = new Map();
    this.services = new Map();
    for (const file of readDescriptor('set', descriptorSet).files) {
      const prefix = file.package ? `${file.package}.` : '';
      this.#addTypes(prefix, file);
      for (const service of file.services) {
        const methods = service.methods.map((m) => [m.name, { input: m.input.slice(1), output: m.output.slice(1) }]);
        this.services.set(prefix + service.name, new Map(methods));
      }
    }
  }

  #addTypes(prefix, { messages, enums }) {
    for (const { name, values } of enums) {
      this.enums.set(prefix + name, {
        names: new Map(values.map((v) => [v.number ?? 0, v.name])),
        numbers: new Map(values.map((v) => [v.name, v.number ?? 0])),
      });
    }
    for (const message of messages) {
      const fields = message.fields.map((f) => ({
        name: f.jsonName || camel(f.name),
        number: f.number,
        type: f.type,
        typeName: f.typeName ? f.typeName.slice(1) : '',
        repeated: f.label === 3,
        // A message, a oneof's member and an `optional` field know the difference between unset and zero.
        presence: f.type === MESSAGE || f.oneof !== undefined || Boolean(f.optional),
        oneof: f.oneof !== undefined && !f.optional ? f.oneof : null,
      }));
      this.messages.set(prefix + message.name, {
        fields,
        byNumber: new Map(fields.map((f) => [f.number, f])),
        byName: new Map(fields.map((f) => [f.name, f])),
        mapEntry: Boolean(message.options?.mapEntry),
      });
      this.#addTypes(`${prefix}${message.name}.`, message);
    }
  }

  #message(typeName) {
    const type = this.messages.get(typeName);
    if (!type) throw new TypeError(`protobuf: unknown type ${typeName}`);
    return type;
  }

  #mapEntry(field) {
    if (!field.repeated || field.type !== MESSAGE) return null;
    const type = this.messages.get(field.typeName);
    return type?.mapEntry ? type : null;
  }

  /** How one value of a field is read and written. */
  #type(field) {
    if (field.type === MESSAGE) {
      return {
        wire: 2,
        read: (r) => this.decode(field.typeName, r.delimited()),
        write: (w, v) => w.delimited(this.encode(field.typeName, v)),
      };
    }
    if (field.type === ENUM) return this.#enumType(field.typeName);
    const type = SCALARS[field.type];
    if (!type) throw new TypeError(`protobuf: field type ${field.type} is not supported`);
    return type;
  }

  #enumType(typeName) {
    const known = this.enums.get(typeName) ?? { names: new Map(), numbers: new Map() };
    return {
      wire: 0,
      zero: known.names.get(0) ?? 0,
      read: (r) => {
        const number = SCALARS[5].read(r);
        return known.names.get(number) ?? number;
      },
      write: (w, v) => {
        const number = typeof v === 'number' ? v : known.numbers.get(v);
        if (number === undefined) throw new TypeError(`protobuf: ${typeName} has no value "${v}"`);
        w.varint(number);
      },
    };
  }

  /** Bytes to an object. Fields without presence always have a value; fields that are not known are skipped. */
  decode(typeName, bytes) {
    if (WELL_KNOWN[typeName]) return WELL_KNOWN[typeName].decode(bytes);
    const { fields, byNumber } = this.#message(typeName);
    const out = {};
    for (const field of fields) {
      if (field.repeated) out[field.name] = this.#mapEntry(field) ? {} : [];
      else if (!field.presence) out[field.name] = this.#type(field).zero;
    }
    const reader = new Reader(bytes);
    while (!reader.done) {
      const { number, wire } = reader.tag();
      const field = byNumber.get(number);
      if (field) this.#decodeField(out, field, reader, wire, fields);
      else reader.skip(wire);
    }
    return out;
  }

  #decodeField(out, field, reader, wire, fields) {
    const entry = this.#mapEntry(field);
    if (entry) {
      const pair = this.decode(field.typeName, reader.delimited());
      put(out[field.name], String(pair.key), pair.value ?? this.decode(entry.byName.get('value').typeName, new Uint8Array(0)));
      return;
    }
    const type = this.#type(field);
    if (field.repeated && wire === 2 && type.wire !== 2) {
      const packed = new Reader(reader.delimited());
      while (!packed.done) out[field.name].push(type.read(packed));
      return;
    }
    if (wire !== type.wire) throw new RangeError(`protobuf: ${field.name} has wire type ${wire}`);
    const value = type.read(reader);
    if (field.repeated) {
      out[field.name].push(value);
      return;
    }
    if (field.oneof !== null) for (const f of fields) if (f.oneof === field.oneof) delete out[f.name];
    out[field.name] = value;
  }

  /** An object to bytes. Throws TypeError on a field that the type does not have. */
  encode(typeName, object) {
    if (WELL_KNOWN[typeName]) return WELL_KNOWN[typeName].encode(object);
    const { byName } = this.#message(typeName);
    const writer = new Writer();
    const chosen = new Set();
    for (const [name, value] of Object.entries(object)) {
      if (value === undefined || value === null) continue;
      const field = byName.get(name);
      if (!field) throw new TypeError(`protobuf: ${typeName} has no field "${name}"`);
      if (field.oneof !== null) {
        if (chosen.has(field.oneof)) throw new TypeError(`protobuf: ${typeName}: "${name}" and another of its oneof are set`);
        chosen.add(field.oneof);
      }
      this.#encodeField(writer, field, value);
    }
    return writer.finish();
  }

  #encodeField(writer, field, value) {
    if (this.#mapEntry(field)) {
      for (const [key, item] of Object.entries(value)) {
        writer.tag(field.number, 2);
        writer.delimited(this.encode(field.typeName, { key, value: item }));
      }
      return;
    }
    const type = this.#type(field);
    if (field.repeated && type.wire !== 2) {
      if (value.length === 0) return;
      const packed = new Writer();
      for (const item of value) type.write(packed, item);
      writer.tag(field.number, 2);
      writer.delimited(packed.finish());
      return;
    }
    for (const item of field.repeated ? value : [value]) {
      if (!field.repeated && !field.presence && (item === type.zero || item === 0 || item.length === 0)) continue;
      writer.tag(field.number, type.wire);
      type.write(writer, item);
    }
  }
}

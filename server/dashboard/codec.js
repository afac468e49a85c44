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

import { put, WELL_KNOWN } from './wellknown.js';
import { Reader, SCALARS, text, Writer } from './wire.js';

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

// Protobuf wire format: reading, writing, scalar types.

const utf8 = new TextEncoder();
export const text = new TextDecoder('utf-8', { fatal: true });

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
export const SCALARS = {
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

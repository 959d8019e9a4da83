// Functions of the interface as core functions, for jco's `--import-bindings hybrid`.
//
// In that mode jco asks a function for its `Symbol.for('cabiLower')`, calls that with the guest's memory and its tables of
// handles, and gives what it returns to the guest's core module. So `map` and `unmap` learn where the placement is, which
// jco's bindings in JavaScript, that copy every list, don't tell. And functions on a borrowed handle look whether the
// handle is there: the bindings find what a handle stood for when it was given away, too.
//
// Functions that make a handle and take none for it (`allocate`, `clone`, ...) stay with the bindings, which then know
// the object that it stands for.
//
// A table of handles is an array of pairs, of which the first is a list of what is free. Of the pair of a handle, the first
// number counts how often it is lent, and the second is its representation, marked if the handle owns it.

import { WitError, trap } from './value.js';

const MARK = 1 << 30;

/** The WIT enum `map-error`, in its order. */
const MAP_ERRORS = [
  'placement-misaligned',
  'placement-too-small',
  'placement-overlaps',
  'placement-mismatch',
  'placement-unmappable',
  'mapping-over-quota',
  'mappings-exhausted',
];

/** The representation that a handle of a table has, or 0. */
function representation(table, handle) {
  const lent = table[handle << 1];
  const entry = table[(handle << 1) + 1];
  return handle > 0 && entry !== undefined && (lent & MARK) === 0 ? entry : 0;
}

function isTable(table) {
  return Array.isArray(table) && table.length >= 2 && (table[0] & MARK) !== 0;
}

/** Takes an owned handle out of its table. */
function remove(table, handle) {
  table[handle << 1] = table[0] | MARK;
  table[0] = handle | MARK;
}

function insert(table, representation) {
  const free = table[0] & ~MARK;
  if (free === 0) return (table.push(0, representation | MARK) >> 1) - 1;
  table[0] = table[free << 1];
  table[free << 1] = 0;
  table[(free << 1) + 1] = representation | MARK;
  return free;
}

const ACCESS_ERRORS = ['range-outside-region', 'list-too-long'];

function checkTables(tables, count) {
  if (tables?.length !== count || !tables.every(isTable)) {
    throw new TypeError('these tables of handles are not as in the versions of jco that this package knows');
  }
}

/** The result area of a call: a view from there on. */
function resultArea(memory, at, length, alignment = 4) {
  const start = at >>> 0;
  if (start % alignment !== 0) trap(`unaligned pointer ${start}`);
  if (start + length > memory.buffer.byteLength) trap('the result area is outside of the memory');
  return new DataView(memory.buffer, start, length);
}

/** Bytes that are passed as a list. */
function list(memory, at, length) {
  const [start, count] = [at >>> 0, length >>> 0];
  if (start + count > memory.buffer.byteLength) trap('list content out-of-bounds');
  return new Uint8Array(memory.buffer, start, count);
}

/**
 * Core functions on a borrowed handle. `look` returns the value of a representation, or traps; `functions` do what is to be
 * done with it.
 */
export function access(look, functions) {
  const lower = (core) => ({ memory, realloc, resourceTables }) => {
    checkTables(resourceTables, 1);
    const [table] = resourceTables;
    const value = (handle) => {
      const entry = representation(table, handle >>> 0);
      return entry === 0 ? trap(`unknown handle index ${handle >>> 0}`) : look(entry & ~MARK);
    };
    return core(value, memory, realloc);
  };
  /** Writes a result of nothing, or of `access-error`, which is as many bytes behind the case as the alignment. */
  const done = (memory, result, error, alignment) => {
    const view = resultArea(memory, result, alignment + 1, alignment);
    view.setUint8(0, error ? 1 : 0);
    if (error) view.setUint8(alignment, ACCESS_ERRORS.indexOf(error));
  };
  return {
    size: lower((value) => (handle) => functions.size(value(handle))),
    len: lower((value) => (handle) => functions.len(value(handle))),
    setLen: lower((value, memory) => (handle, length, result) => {
      const { error } = attempt(() => functions.setLen(value(handle), BigInt.asUintN(64, length)));
      done(memory, result, error, 1);
    }),
    read: lower((value, memory, realloc) => (handle, offset, length, result) => {
      const { error, given } = attempt(() => functions.read(value(handle), BigInt.asUintN(64, offset), length >>> 0));
      if (error) {
        done(memory, result, error, 4);
        return;
      }
      const at = realloc(0, 0, 1, given.length);
      list(memory, at, given.length).set(given);
      const view = resultArea(memory, result, 12);
      view.setUint8(0, 0);
      view.setUint32(4, at, true);
      view.setUint32(8, given.length, true);
    }),
    write: lower((value, memory) => (handle, offset, at, length, result) => {
      const found = value(handle);
      const bytes = list(memory, at, length);
      const { error } = attempt(() => functions.write(found, BigInt.asUintN(64, offset), bytes));
      done(memory, result, error, 1);
    }),
  };
}

/** What a function returns, or its error of the WIT. */
function attempt(call) {
  try {
    return { given: call() };
  } catch (error) {
    if (error instanceof WitError) return { error: error.payload };
    throw error;
  }
}

/**
 * A core function of the shape `[handle, at, length, result]`: it takes an owned handle, does `change(memory,
 * representation, at, length)`, and returns the other kind of handle, or the same one and an error.
 *
 * `change` returns `{ representation }` or `{ error }`. `isSource` tells of a representation whether it is of the kind that
 * is taken, or `undefined` if nobody has it.
 */
export function lowering(change, isSource) {
  return ({ memory, resourceTables }) => {
    checkTables(resourceTables, 2);
    // jco has the tables in the order in which the component names the types: what is in them tells which is which.
    let order;
    const source = (handle) => {
      for (const [at, table] of (order ?? resourceTables).entries()) {
        const entry = representation(table, handle);
        if (entry === 0 || !isSource(entry & ~MARK)) continue;
        if ((entry & MARK) === 0) trap('cannot lift own resource from a borrow');
        if (table[handle << 1] !== 0) trap('cannot remove owned resource while borrowed');
        order ??= at === 0 ? resourceTables : [...resourceTables].reverse();
        return entry & ~MARK;
      }
      return trap(`unknown handle index ${handle}`);
    };
    return (handle, at, length, result) => {
      const taken = source(handle >>> 0);
      const answer = change(memory, taken, at >>> 0, length >>> 0);
      const [from, to] = order;
      remove(from, handle >>> 0);
      const given = insert(answer.error ? from : to, answer.error ? taken : answer.representation);
      const view = resultArea(memory, result, 12);
      view.setUint8(0, answer.error ? 1 : 0);
      view.setUint32(4, given, true);
      if (answer.error) view.setUint8(8, MAP_ERRORS.indexOf(answer.error));
    };
  };
}

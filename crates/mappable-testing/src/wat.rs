//! The guests, as text: one component whose exports are the interface's functions and plain accesses to its memory,
//! so that a test drives it step by step, and components made of several of it.

/// What the interface is imported as.
pub const TYPES: &str = "mappable:memory/types@0.1.0";

/// The interface as a component in text imports it; `$types` from then on, and its resources by their names.
pub fn import_types(name: &str) -> String {
    format!(
        r#"(import "{name}" (instance $types
            (export "mappable" (type $mappable (sub resource)))
            (export "mapping" (type $mapping (sub resource)))
            (export "frozen" (type $frozen (sub resource)))
            (export "frozen-mapping" (type $frozen-mapping (sub resource)))
            (type $map-error' (enum "placement-misaligned" "placement-too-small" "placement-overlaps"
                "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
            (export "map-error" (type $map-error (eq $map-error')))
            (type $allocate-error' (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
            (export "allocate-error" (type $allocate-error (eq $allocate-error')))
            (type $part-error' (enum "part-misaligned" "part-outside-region" "region-over-quota"))
            (export "part-error" (type $part-error (eq $part-error')))
            (type $access-error' (enum "range-outside-region" "list-too-long"))
            (export "access-error" (type $access-error (eq $access-error')))
            (export "granule" (func (result u32)))
            (export "[static]mappable.allocate"
                (func (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
            (export "[method]mappable.size" (func (param "self" (borrow $mappable)) (result u64)))
            (export "[method]mappable.len" (func (param "self" (borrow $mappable)) (result u64)))
            (export "[method]mappable.set-len" (func (param "self" (borrow $mappable)) (param "len" u64)
                (result (result (error $access-error)))))
            (export "[static]mappable.map" (func (param "this" (own $mappable)) (param "at" (list u8))
                (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
            (export "[method]mappable.read"
                (func (param "self" (borrow $mappable)) (param "offset" u64) (param "len" u32)
                (result (result (list u8) (error $access-error)))))
            (export "[method]mappable.write"
                (func (param "self" (borrow $mappable)) (param "offset" u64) (param "bytes" (list u8))
                (result (result (error $access-error)))))
            (export "[static]mapping.unmap" (func (param "this" (own $mapping)) (param "at" (list u8))
                (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
            (export "[static]mappable.freeze" (func (param "this" (own $mappable)) (result (own $frozen))))
            (export "[static]mappable.split" (func (param "this" (own $mappable)) (param "at" u64)
                (result (result (tuple (own $mappable) (own $mappable))
                    (error (tuple (own $mappable) $part-error))))))
            (export "[static]mappable.join" (func (param "low" (own $mappable)) (param "high" (own $mappable))
                (result (result (own $mappable) (error (tuple (own $mappable) (own $mappable)))))))
            (export "[method]frozen.size" (func (param "self" (borrow $frozen)) (result u64)))
            (export "[method]frozen.len" (func (param "self" (borrow $frozen)) (result u64)))
            (export "[method]frozen.clone" (func (param "self" (borrow $frozen))
                (result (result (own $frozen) (error $allocate-error)))))
            (export "[method]frozen.slice"
                (func (param "self" (borrow $frozen)) (param "offset" u64) (param "size" u64)
                (result (result (own $frozen) (error $part-error)))))
            (export "[static]frozen.map" (func (param "this" (own $frozen)) (param "at" (list u8))
                (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
            (export "[static]frozen.map-private" (func (param "this" (own $frozen)) (param "at" (list u8))
                (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
            (export "[static]frozen.thaw" (func (param "this" (own $frozen))
                (result (result (own $mappable) (error (own $frozen))))))
            (export "[method]frozen.copy" (func (param "self" (borrow $frozen))
                (result (result (own $mappable) (error $allocate-error)))))
            (export "[method]frozen.read"
                (func (param "self" (borrow $frozen)) (param "offset" u64) (param "len" u32)
                (result (result (list u8) (error $access-error)))))
            (export "[static]frozen-mapping.unmap" (func (param "this" (own $frozen-mapping)) (param "at" (list u8))
                (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))))
        (alias export $types "mappable" (type $mappable))
        (alias export $types "mapping" (type $mapping))
        (alias export $types "frozen" (type $frozen))
        (alias export $types "frozen-mapping" (type $frozen-mapping))"#
    )
}

/// What the tests' host offers: something that takes a list, and something that calls back into the test.
pub const IMPORT_ENV: &str = r#"(import "test:host/env" (instance $env
    (export "sum" (func (param "bytes" (list u8)) (result u64)))
    (export "call-back" (func))))"#;

const IMPORT_PEER: &str = r#"(import "test:guest/peer" (instance $peer
    (alias outer 1 $mappable (type $m)) (export "mappable" (type $r (eq $m)))
    (alias outer 1 $mapping (type $g)) (export "mapping" (type $s (eq $g)))
    (alias outer 1 $frozen (type $f)) (export "frozen" (type $t (eq $f)))
    (alias outer 1 $frozen-mapping (type $h)) (export "frozen-mapping" (type $u (eq $h)))
    (export "accept" (func (param "region" (own $r)) (result u32)))
    (export "accept-mapping" (func (param "mapping" (own $s)) (result u32)))
    (export "lend" (func (param "region" (borrow $r)) (result u64)))
    (export "give-back" (func (param "handle" u32) (result (own $r))))
    (export "accept-frozen" (func (param "frozen" (own $t)) (result u32)))
    (export "accept-frozen-mapping" (func (param "mapping" (own $u)) (result u32)))
    (export "give-back-frozen" (func (param "handle" u32) (result (own $t))))
    (export "poke" (func (param "address" u32) (result u32)))))
  (core func $pass (canon lower (func $peer "accept")))
  (core func $pass-mapping (canon lower (func $peer "accept-mapping")))
  (core func $lend (canon lower (func $peer "lend")))
  (core func $fetch (canon lower (func $peer "give-back")))
  (core func $pass-frozen (canon lower (func $peer "accept-frozen")))
  (core func $pass-frozen-mapping (canon lower (func $peer "accept-frozen-mapping")))
  (core func $fetch-frozen (canon lower (func $peer "give-back-frozen")))
  (core func $poke (canon lower (func $peer "poke")))"#;

/// Without a peer, its functions trap.
const NO_PEER: &str = r#"(core module $nobody
    (func (export "pass") (param i32) (result i32) unreachable)
    (func (export "lend") (param i32) (result i64) unreachable))
  (core instance $nobody (instantiate $nobody))
  (alias core export $nobody "pass" (core func $pass))
  (alias core export $nobody "pass" (core func $pass-mapping))
  (alias core export $nobody "pass" (core func $fetch))
  (alias core export $nobody "pass" (core func $pass-frozen))
  (alias core export $nobody "pass" (core func $pass-frozen-mapping))
  (alias core export $nobody "pass" (core func $fetch-frozen))
  (alias core export $nobody "pass" (core func $poke))
  (alias core export $nobody "lend" (core func $lend))"#;

const BODY: &str = r#"
  (core instance $m (instantiate $M))
  (alias core export $m "mem" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (core func $granule (canon lower (func $types "granule")))
  (core func $allocate (canon lower (func $types "[static]mappable.allocate") (memory $mem)))
  (core func $size (canon lower (func $types "[method]mappable.size")))
  (core func $len (canon lower (func $types "[method]mappable.len")))
  (core func $set-len (canon lower (func $types "[method]mappable.set-len") (memory $mem)))
  (core func $map (canon lower (func $types "[static]mappable.map") (memory $mem)))
  (core func $unmap (canon lower (func $types "[static]mapping.unmap") (memory $mem)))
  (core func $read (canon lower (func $types "[method]mappable.read") (memory $mem) (realloc $realloc)))
  (core func $write (canon lower (func $types "[method]mappable.write") (memory $mem)))
  (core func $freeze (canon lower (func $types "[static]mappable.freeze")))
  (core func $split (canon lower (func $types "[static]mappable.split") (memory $mem)))
  (core func $join (canon lower (func $types "[static]mappable.join") (memory $mem)))
  (core func $size-frozen (canon lower (func $types "[method]frozen.size")))
  (core func $len-frozen (canon lower (func $types "[method]frozen.len")))
  (core func $clone (canon lower (func $types "[method]frozen.clone") (memory $mem)))
  (core func $slice (canon lower (func $types "[method]frozen.slice") (memory $mem)))
  (core func $map-frozen (canon lower (func $types "[static]frozen.map") (memory $mem)))
  (core func $map-private (canon lower (func $types "[static]frozen.map-private") (memory $mem)))
  (core func $thaw (canon lower (func $types "[static]frozen.thaw") (memory $mem)))
  (core func $copy-frozen (canon lower (func $types "[method]frozen.copy") (memory $mem)))
  (core func $read-frozen (canon lower (func $types "[method]frozen.read") (memory $mem) (realloc $realloc)))
  (core func $unmap-frozen (canon lower (func $types "[static]frozen-mapping.unmap") (memory $mem)))
  (core func $drop-frozen (canon resource.drop $frozen))
  (core func $drop-frozen-mapping (canon resource.drop $frozen-mapping))
  (core func $drop-mappable (canon resource.drop $mappable))
  (core func $drop-mapping (canon resource.drop $mapping))
  (core func $sum (canon lower (func $env "sum") (memory $mem)))
  (core func $call-back (canon lower (func $env "call-back")))
  (core module $P
    (import "" "mem" (memory 1))
    (import "" "buffer" (global $buffer (mut i32)))
    (import "" "granule" (func $granule (result i32)))
    (import "" "allocate" (func $allocate (param i64 i32)))
    (import "" "size" (func $size (param i32) (result i64)))
    (import "" "len" (func $len (param i32) (result i64)))
    (import "" "set-len" (func $set-len (param i32 i64 i32)))
    (import "" "map" (func $map (param i32 i32 i32 i32)))
    (import "" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "" "read" (func $read (param i32 i64 i32 i32)))
    (import "" "write" (func $write (param i32 i64 i32 i32 i32)))
    (import "" "drop-mappable" (func $drop-mappable (param i32)))
    (import "" "drop-mapping" (func $drop-mapping (param i32)))
    (import "" "freeze" (func $freeze (param i32) (result i32)))
    (import "" "split" (func $split (param i32 i64 i32)))
    (import "" "join" (func $join (param i32 i32 i32)))
    (import "" "size-frozen" (func $size-frozen (param i32) (result i64)))
    (import "" "len-frozen" (func $len-frozen (param i32) (result i64)))
    (import "" "clone" (func $clone (param i32 i32)))
    (import "" "slice" (func $slice (param i32 i64 i64 i32)))
    (import "" "map-frozen" (func $map-frozen (param i32 i32 i32 i32)))
    (import "" "map-private" (func $map-private (param i32 i32 i32 i32)))
    (import "" "thaw" (func $thaw (param i32 i32)))
    (import "" "copy-frozen" (func $copy-frozen (param i32 i32)))
    (import "" "read-frozen" (func $read-frozen (param i32 i64 i32 i32)))
    (import "" "unmap-frozen" (func $unmap-frozen (param i32 i32 i32 i32)))
    (import "" "drop-frozen" (func $drop-frozen (param i32)))
    (import "" "drop-frozen-mapping" (func $drop-frozen-mapping (param i32)))
    (import "" "pass-frozen" (func $pass-frozen (param i32) (result i32)))
    (import "" "pass-frozen-mapping" (func $pass-frozen-mapping (param i32) (result i32)))
    (import "" "fetch-frozen" (func $fetch-frozen (param i32) (result i32)))
    (import "" "sum" (func $sum (param i32 i32) (result i64)))
    (import "" "call-back" (func $call-back))
    (import "" "pass" (func $pass (param i32) (result i32)))
    (import "" "pass-mapping" (func $pass-mapping (param i32) (result i32)))
    (import "" "lend" (func $lend (param i32) (result i64)))
    (import "" "fetch" (func $fetch (param i32) (result i32)))
    (import "" "poke" (func $poke (param i32) (result i32)))

    ;; Where results are written: out of the way of placements, unless a test says otherwise.
    (global $ret (mut i32) (i32.const 1024))
    (func (export "set-ret") (param i32) (global.set $ret (local.get 0)))

    ;; ok: the handle; error: the handle, and 1 + the error's number above it
    (func $swapped (result i64)
      (i64.or
        (i64.extend_i32_u (i32.load offset=4 (global.get $ret)))
        (if (result i64) (i32.load8_u (global.get $ret))
          (then (i64.shl (i64.add (i64.const 1) (i64.load8_u offset=8 (global.get $ret))) (i64.const 32)))
          (else (i64.const 0)))))

    (func (export "granule") (result i32) (call $granule))
    ;; ok: the handle; error: -1 - its number
    (func $made (result i64)
      (if (result i64) (i32.load8_u (global.get $ret))
        (then (i64.sub (i64.const -1) (i64.load8_u offset=4 (global.get $ret))))
        (else (i64.load32_u offset=4 (global.get $ret)))))
    (func (export "allocate") (param i64) (result i64)
      (call $allocate (local.get 0) (global.get $ret))
      (call $made))
    ;; two numbers, the second above the first, and the highest bit for an error
    (func $both (result i64)
      (i64.or
        (i64.or (i64.load32_u offset=4 (global.get $ret))
          (i64.shl (i64.load32_u offset=8 (global.get $ret)) (i64.const 32)))
        (i64.shl (i64.load8_u (global.get $ret)) (i64.const 63))))
    (func (export "freeze") (param i32) (result i32) (call $freeze (local.get 0)))
    (func (export "thaw") (param i32) (result i64)
      (i32.store offset=8 (global.get $ret) (i32.const 0))
      (call $thaw (local.get 0) (global.get $ret))
      (call $both))
    ;; ok: both handles; error: the handle and the error's number
    (func (export "split") (param i32 i64) (result i64)
      (i32.store offset=8 (global.get $ret) (i32.const 0))
      (call $split (local.get 0) (local.get 1) (global.get $ret))
      (call $both))
    (func (export "join") (param i32 i32) (result i64)
      (i32.store offset=8 (global.get $ret) (i32.const 0))
      (call $join (local.get 0) (local.get 1) (global.get $ret))
      (call $both))
    (func (export "size-frozen") (param i32) (result i64) (call $size-frozen (local.get 0)))
    (func (export "len-frozen") (param i32) (result i64) (call $len-frozen (local.get 0)))
    (func (export "clone") (param i32) (result i64)
      (call $clone (local.get 0) (global.get $ret))
      (call $made))
    (func (export "slice") (param i32 i64 i64) (result i64)
      (call $slice (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (call $made))
    (func (export "copy-frozen") (param i32) (result i64)
      (call $copy-frozen (local.get 0) (global.get $ret))
      (call $made))
    (func (export "map-frozen") (param i32 i32 i32) (result i64)
      (call $map-frozen (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (call $swapped))
    (func (export "map-private") (param i32 i32 i32) (result i64)
      (call $map-private (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (call $swapped))
    (func (export "unmap-frozen") (param i32 i32 i32) (result i64)
      (call $unmap-frozen (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (call $swapped))
    (func (export "map-frozen-and-load") (param i32 i32 i32 i32) (result i32)
      (call $map-frozen (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (i32.load8_u (local.get 3)))
    (func (export "unmap-frozen-and-load") (param i32 i32 i32 i32) (result i32)
      (call $unmap-frozen (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (i32.load8_u (local.get 3)))
    (func (export "drop-frozen") (param i32) (call $drop-frozen (local.get 0)))
    (func (export "drop-frozen-mapping") (param i32) (call $drop-frozen-mapping (local.get 0)))
    (func (export "pass-frozen") (param i32) (result i32) (call $pass-frozen (local.get 0)))
    (func (export "pass-frozen-mapping") (param i32) (result i32) (call $pass-frozen-mapping (local.get 0)))
    (func (export "fetch-frozen") (param i32) (result i32) (call $fetch-frozen (local.get 0)))
    (func (export "size") (param i32) (result i64) (call $size (local.get 0)))
    (func (export "len") (param i32) (result i64) (call $len (local.get 0)))
    ;; ok: 0; error: -1 - its number
    (func (export "set-len") (param i32 i64) (result i64)
      (call $set-len (local.get 0) (local.get 1) (global.get $ret))
      (if (result i64) (i32.load8_u (global.get $ret))
        (then (i64.sub (i64.const -1) (i64.load8_u offset=1 (global.get $ret))))
        (else (i64.const 0))))
    (func (export "map") (param i32 i32 i32) (result i64)
      (call $map (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (call $swapped))
    (func (export "unmap") (param i32 i32 i32) (result i64)
      (call $unmap (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (call $swapped))
    ;; maps, and answers the byte at an address that is read by the very next instruction
    (func (export "map-and-load") (param i32 i32 i32 i32) (result i32)
      (call $map (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (i32.load8_u (local.get 3)))
    (func (export "unmap-and-load") (param i32 i32 i32 i32) (result i32)
      (call $unmap (local.get 0) (local.get 1) (local.get 2) (global.get $ret))
      (i32.load8_u (local.get 3)))
    ;; maps, stores a byte, calls back, looks at it, unmaps, and calls back: in one function, that may keep the base. Answers
    ;; the region's byte, the heap's behind it, and above them the handle
    (func (export "visit") (param $h i32) (param $at i32) (param $len i32) (param $byte i32) (result i64)
      (local $seen i32)
      (call $map (local.get $h) (local.get $at) (local.get $len) (global.get $ret))
      (if (i32.load8_u (global.get $ret)) (then unreachable))
      (i32.store8 (local.get $at) (local.get $byte))
      (call $call-back)
      (local.set $seen (i32.load8_u (local.get $at)))
      (call $unmap (i32.load offset=4 (global.get $ret)) (local.get $at) (local.get $len) (global.get $ret))
      (if (i32.load8_u (global.get $ret)) (then unreachable))
      (local.set $seen (i32.or (local.get $seen) (i32.shl (i32.load8_u (local.get $at)) (i32.const 8))))
      (call $call-back)
      (i64.or (i64.extend_i32_u (local.get $seen)) (i64.shl (i64.load32_u offset=4 (global.get $ret)) (i64.const 32))))
    (func (export "read") (param $h i32) (param $offset i64) (param $len i32) (param $to i32) (result i64)
      (global.set $buffer (local.get $to))
      (call $read (local.get $h) (local.get $offset) (local.get $len) (global.get $ret))
      (call $listed (local.get $len) (local.get $to)))
    (func (export "read-frozen") (param $h i32) (param $offset i64) (param $len i32) (param $to i32) (result i64)
      (global.set $buffer (local.get $to))
      (call $read-frozen (local.get $h) (local.get $offset) (local.get $len) (global.get $ret))
      (call $listed (local.get $len) (local.get $to)))
    (func $listed (param $len i32) (param $to i32) (result i64)
      (if (result i64) (i32.load8_u (global.get $ret))
        (then (i64.sub (i64.const -1) (i64.load8_u offset=4 (global.get $ret))))
        (else
          (if (local.get $len)
            (then (if (i32.ne (i32.load offset=4 (global.get $ret)) (local.get $to)) (then unreachable))))
          (i64.load32_u offset=8 (global.get $ret)))))
    (func (export "write") (param $h i32) (param $offset i64) (param $from i32) (param $len i32) (result i64)
      (call $write (local.get $h) (local.get $offset) (local.get $from) (local.get $len) (global.get $ret))
      (if (result i64) (i32.load8_u (global.get $ret))
        (then (i64.sub (i64.const -1) (i64.load8_u offset=1 (global.get $ret))))
        (else (i64.const 0))))
    (func (export "drop-mappable") (param i32) (call $drop-mappable (local.get 0)))
    (func (export "drop-mapping") (param i32) (call $drop-mapping (local.get 0)))

    (func (export "identity") (param i32) (result i32) (local.get 0))
    (func (export "lend") (param i32) (result i64) (call $lend (local.get 0)))
    (func (export "lent") (param i32) (result i64)
      (local $size i64)
      (local.set $size (call $size (local.get 0)))
      (call $drop-mappable (local.get 0))
      (local.get $size))
    (func (export "keep-lent") (param i32) (result i64)
      (call $size (local.get 0)))
    (func (export "map-lent") (param i32) (result i64)
      (call $map (local.get 0) (i32.const 65536) (i32.const 65536) (global.get $ret))
      (call $drop-mappable (local.get 0))
      (call $swapped))
    (func (export "pass") (param i32) (result i32) (call $pass (local.get 0)))
    (func (export "pass-mapping") (param i32) (result i32) (call $pass-mapping (local.get 0)))
    (func (export "fetch") (param i32) (result i32) (call $fetch (local.get 0)))
    (func (export "poke") (param i32) (result i32) (call $poke (local.get 0)))
    (func (export "call-back") (call $call-back))
    ;; calls back, then goes into the peer
    (func (export "call-back-and-poke") (param i32) (result i32) (call $call-back) (call $poke (local.get 0)))

    (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store8") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "load64") (param i32) (result i64) (i64.load (local.get 0)))
    (func (export "store64") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
    ;; offsets below and above what the guard pages take
    (func (export "load8-far") (param i32) (result i32) (i32.load8_u offset=0x1ff0000 (local.get 0)))
    (func (export "load8-farther") (param i32) (result i32) (i32.load8_u offset=0xfff00000 (local.get 0)))
    (func (export "store128") (param i32 i32) (v128.store (local.get 0) (i8x16.splat (local.get 1))))
    ;; the sum of 16 bytes, by vector instructions
    (func (export "sum128") (param i32) (result i32)
      (local $v v128)
      (local.set $v (i32x4.extadd_pairwise_i16x8_u (i16x8.extadd_pairwise_i8x16_u (v128.load (local.get 0)))))
      (i32.add (i32.add (i32x4.extract_lane 0 (local.get $v)) (i32x4.extract_lane 1 (local.get $v)))
               (i32.add (i32x4.extract_lane 2 (local.get $v)) (i32x4.extract_lane 3 (local.get $v)))))
    (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "pages") (result i32) (memory.size))
    ;; how many bytes from an address on equal the given one, `len` at most
    (func (export "run-of") (param $at i32) (param $len i32) (param $byte i32) (result i32)
      (local $n i32)
      (block $out
        (loop $next
          (br_if $out (i32.eq (local.get $n) (local.get $len)))
          (br_if $out (i32.ne (i32.load8_u (i32.add (local.get $at) (local.get $n))) (local.get $byte)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $next)))
      (local.get $n))
    ;; four bytes of a granule: the first, two within, the last
    (func (export "probe") (param $at i32) (result i32)
      (i32.or
        (i32.or (i32.load8_u (local.get $at)) (i32.shl (i32.load8_u offset=4095 (local.get $at)) (i32.const 8)))
        (i32.or (i32.shl (i32.load8_u offset=32768 (local.get $at)) (i32.const 16))
                (i32.shl (i32.load8_u offset=65535 (local.get $at)) (i32.const 24)))))
    (func (export "sum") (param i32 i32) (result i64) (call $sum (local.get 0) (local.get 1)))
    ;; stores a byte at the start of each granule, and if `all`, everywhere in `len` bytes. A plain store comes first:
    ;; it traps where a bulk operation need not
    (func (export "paint") (param $at i32) (param $len i32) (param $byte i32) (param $all i32)
      (local $n i32)
      (block $out
        (loop $next
          (br_if $out (i32.ge_u (local.get $n) (local.get $len)))
          (i32.store8 (i32.add (local.get $at) (local.get $n)) (local.get $byte))
          (local.set $n (i32.add (local.get $n) (i32.const 65536)))
          (br $next)))
      (if (local.get $all) (then (memory.fill (local.get $at) (local.get $byte) (local.get $len)))))
    ;; the first bytes of up to eight granules
    (func (export "firsts") (param $at i32) (param $count i32) (result i64)
      (local $n i32) (local $bytes i64)
      (block $out
        (loop $next
          (br_if $out (i32.eq (local.get $n) (local.get $count)))
          (local.set $bytes (i64.or (local.get $bytes) (i64.shl
            (i64.load8_u (i32.add (local.get $at) (i32.mul (local.get $n) (i32.const 65536))))
            (i64.extend_i32_u (i32.mul (local.get $n) (i32.const 8))))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $next)))
      (local.get $bytes))
    ;; whether every byte of `len`, a multiple of 16, is this one
    (func (export "uniform") (param $at i32) (param $len i32) (param $byte i32) (result i32)
      (local $n i32)
      (loop $next
        (if (i32.eq (local.get $n) (local.get $len)) (then (return (i32.const 1))))
        (if (v128.any_true (v128.xor
            (v128.load (i32.add (local.get $at) (local.get $n))) (i8x16.splat (local.get $byte))))
          (then (return (i32.const 0))))
        (local.set $n (i32.add (local.get $n) (i32.const 16)))
        (br $next))
      (unreachable))
    ;; where the next list is put, and what takes a list
    (func (export "set-buffer") (param i32) (global.set $buffer (local.get 0)))
    (func (export "deliver") (param i32 i32)))
  (core instance $p (instantiate $P (with "" (instance
    (export "mem" (memory $mem)) (export "buffer" (global $m "buffer")) (export "granule" (func $granule))
    (export "allocate" (func $allocate)) (export "size" (func $size)) (export "map" (func $map))
    (export "len" (func $len)) (export "set-len" (func $set-len)) (export "len-frozen" (func $len-frozen))
    (export "unmap" (func $unmap)) (export "read" (func $read)) (export "write" (func $write))
    (export "drop-mappable" (func $drop-mappable)) (export "drop-mapping" (func $drop-mapping))
    (export "freeze" (func $freeze)) (export "split" (func $split)) (export "join" (func $join))
    (export "size-frozen" (func $size-frozen)) (export "clone" (func $clone)) (export "slice" (func $slice))
    (export "map-frozen" (func $map-frozen)) (export "map-private" (func $map-private)) (export "thaw" (func $thaw)) (export "copy-frozen" (func $copy-frozen))
    (export "read-frozen" (func $read-frozen)) (export "unmap-frozen" (func $unmap-frozen))
    (export "drop-frozen" (func $drop-frozen)) (export "drop-frozen-mapping" (func $drop-frozen-mapping))
    (export "pass-frozen" (func $pass-frozen)) (export "pass-frozen-mapping" (func $pass-frozen-mapping))
    (export "fetch-frozen" (func $fetch-frozen))
    (export "sum" (func $sum)) (export "call-back" (func $call-back)) (export "pass" (func $pass))
    (export "pass-mapping" (func $pass-mapping)) (export "lend" (func $lend)) (export "fetch" (func $fetch))
    (export "poke" (func $poke))))))

  (func (export "set-ret") (param "at" u32) (canon lift (core func $p "set-ret")))
  (func (export "granule") (result u32) (canon lift (core func $p "granule")))
  (func (export "allocate") (param "size" u64) (result s64) (canon lift (core func $p "allocate")))
  (func (export "size") (param "handle" u32) (result u64) (canon lift (core func $p "size")))
  (func (export "len") (param "handle" u32) (result u64) (canon lift (core func $p "len")))
  (func (export "set-len") (param "handle" u32) (param "len" u64) (result s64)
    (canon lift (core func $p "set-len")))
  (func (export "len-frozen") (param "handle" u32) (result u64) (canon lift (core func $p "len-frozen")))
  (func (export "map") (param "handle" u32) (param "at" u32) (param "len" u32) (result u64)
    (canon lift (core func $p "map")))
  (func (export "unmap") (param "handle" u32) (param "at" u32) (param "len" u32) (result u64)
    (canon lift (core func $p "unmap")))
  (func (export "map-and-load") (param "handle" u32) (param "at" u32) (param "len" u32) (param "from" u32)
    (result u32) (canon lift (core func $p "map-and-load")))
  (func (export "unmap-and-load") (param "handle" u32) (param "at" u32) (param "len" u32) (param "from" u32)
    (result u32) (canon lift (core func $p "unmap-and-load")))
  (func (export "visit") (param "handle" u32) (param "at" u32) (param "len" u32) (param "byte" u32) (result u64)
    (canon lift (core func $p "visit")))
  (func (export "read") (param "handle" u32) (param "offset" u64) (param "len" u32) (param "to" u32) (result s64)
    (canon lift (core func $p "read")))
  (func (export "write") (param "handle" u32) (param "offset" u64) (param "from" u32) (param "len" u32) (result s64)
    (canon lift (core func $p "write")))
  (func (export "drop-mappable") (param "handle" u32) (canon lift (core func $p "drop-mappable")))
  (func (export "drop-mapping") (param "handle" u32) (canon lift (core func $p "drop-mapping")))
  (func (export "freeze") (param "handle" u32) (result u32) (canon lift (core func $p "freeze")))
  (func (export "thaw") (param "handle" u32) (result u64) (canon lift (core func $p "thaw")))
  (func (export "split") (param "handle" u32) (param "at" u64) (result u64) (canon lift (core func $p "split")))
  (func (export "join") (param "low" u32) (param "high" u32) (result u64) (canon lift (core func $p "join")))
  (func (export "size-frozen") (param "handle" u32) (result u64) (canon lift (core func $p "size-frozen")))
  (func (export "clone") (param "handle" u32) (result s64) (canon lift (core func $p "clone")))
  (func (export "slice") (param "handle" u32) (param "offset" u64) (param "size" u64) (result s64)
    (canon lift (core func $p "slice")))
  (func (export "copy-frozen") (param "handle" u32) (result s64) (canon lift (core func $p "copy-frozen")))
  (func (export "map-frozen") (param "handle" u32) (param "at" u32) (param "len" u32) (result u64)
    (canon lift (core func $p "map-frozen")))
  (func (export "map-private") (param "handle" u32) (param "at" u32) (param "len" u32) (result u64)
    (canon lift (core func $p "map-private")))
  (func (export "unmap-frozen") (param "handle" u32) (param "at" u32) (param "len" u32) (result u64)
    (canon lift (core func $p "unmap-frozen")))
  (func (export "map-frozen-and-load") (param "handle" u32) (param "at" u32) (param "len" u32) (param "from" u32)
    (result u32) (canon lift (core func $p "map-frozen-and-load")))
  (func (export "unmap-frozen-and-load") (param "handle" u32) (param "at" u32) (param "len" u32) (param "from" u32)
    (result u32) (canon lift (core func $p "unmap-frozen-and-load")))
  (func (export "read-frozen") (param "handle" u32) (param "offset" u64) (param "len" u32) (param "to" u32)
    (result s64) (canon lift (core func $p "read-frozen")))
  (func (export "drop-frozen") (param "handle" u32) (canon lift (core func $p "drop-frozen")))
  (func (export "drop-frozen-mapping") (param "handle" u32) (canon lift (core func $p "drop-frozen-mapping")))
  (func (export "pass-frozen") (param "handle" u32) (result u32) (canon lift (core func $p "pass-frozen")))
  (func (export "pass-frozen-mapping") (param "handle" u32) (result u32)
    (canon lift (core func $p "pass-frozen-mapping")))
  (func (export "fetch-frozen") (param "handle" u32) (result u32) (canon lift (core func $p "fetch-frozen")))
  (func $accept-frozen (param "frozen" (own $frozen)) (result u32) (canon lift (core func $p "identity")))
  (func $accept-frozen-mapping (param "mapping" (own $frozen-mapping)) (result u32)
    (canon lift (core func $p "identity")))
  (func $give-back-frozen (param "handle" u32) (result (own $frozen)) (canon lift (core func $p "identity")))
  (export "take-frozen" (func $accept-frozen))
  (export "give-frozen" (func $give-back-frozen))
  (export "take-frozen-mapping" (func $accept-frozen-mapping))
  (func (export "give-frozen-mapping") (param "handle" u32) (result (own $frozen-mapping))
    (canon lift (core func $p "identity")))
  (func $accept (param "region" (own $mappable)) (result u32) (canon lift (core func $p "identity")))
  (func $accept-mapping (param "mapping" (own $mapping)) (result u32) (canon lift (core func $p "identity")))
  (func $give-back (param "handle" u32) (result (own $mappable)) (canon lift (core func $p "identity")))
  (func $lent (param "region" (borrow $mappable)) (result u64) (canon lift (core func $p "lent")))
  (func $touch (param "address" u32) (result u32) (canon lift (core func $p "load8")))
  (export "take" (func $accept))
  (export "give" (func $give-back))
  (export "take-mapping" (func $accept-mapping))
  (func (export "give-mapping") (param "handle" u32) (result (own $mapping)) (canon lift (core func $p "identity")))
  (func (export "keep-lent") (param "region" (borrow $mappable)) (result u64) (canon lift (core func $p "keep-lent")))
  (func (export "map-lent") (param "region" (borrow $mappable)) (result u64) (canon lift (core func $p "map-lent")))
  (func (export "lend") (param "handle" u32) (result u64) (canon lift (core func $p "lend")))
  (func (export "pass") (param "handle" u32) (result u32) (canon lift (core func $p "pass")))
  (func (export "pass-mapping") (param "handle" u32) (result u32) (canon lift (core func $p "pass-mapping")))
  (func (export "fetch") (param "handle" u32) (result u32) (canon lift (core func $p "fetch")))
  (func (export "poke") (param "address" u32) (result u32) (canon lift (core func $p "poke")))
  (func (export "call-back") (canon lift (core func $p "call-back")))
  (func (export "call-back-and-poke") (param "address" u32) (result u32)
    (canon lift (core func $p "call-back-and-poke")))
  (func (export "load8") (param "at" u32) (result u32) (canon lift (core func $p "load8")))
  (func (export "store8") (param "at" u32) (param "byte" u32) (canon lift (core func $p "store8")))
  (func (export "load64") (param "at" u32) (result u64) (canon lift (core func $p "load64")))
  (func (export "store64") (param "at" u32) (param "value" u64) (canon lift (core func $p "store64")))
  (func (export "load8-far") (param "at" u32) (result u32) (canon lift (core func $p "load8-far")))
  (func (export "load8-farther") (param "at" u32) (result u32) (canon lift (core func $p "load8-farther")))
  (func (export "store128") (param "at" u32) (param "byte" u32) (canon lift (core func $p "store128")))
  (func (export "sum128") (param "at" u32) (result u32) (canon lift (core func $p "sum128")))
  (func (export "fill") (param "at" u32) (param "byte" u32) (param "len" u32) (canon lift (core func $p "fill")))
  (func (export "copy") (param "to" u32) (param "from" u32) (param "len" u32) (canon lift (core func $p "copy")))
  (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $p "grow")))
  (func (export "pages") (result u32) (canon lift (core func $p "pages")))
  (func (export "run-of") (param "at" u32) (param "len" u32) (param "byte" u32) (result u32)
    (canon lift (core func $p "run-of")))
  (func (export "probe") (param "at" u32) (result u32) (canon lift (core func $p "probe")))
  (func (export "sum") (param "at" u32) (param "len" u32) (result u64) (canon lift (core func $p "sum")))
  (func (export "paint") (param "at" u32) (param "len" u32) (param "byte" u32) (param "all" u32)
    (canon lift (core func $p "paint")))
  (func (export "firsts") (param "at" u32) (param "count" u32) (result u64) (canon lift (core func $p "firsts")))
  (func (export "uniform") (param "at" u32) (param "len" u32) (param "byte" u32) (result u32)
    (canon lift (core func $p "uniform")))
  (func (export "set-buffer") (param "at" u32) (canon lift (core func $p "set-buffer")))
  (func (export "deliver") (param "bytes" (list u8))
    (canon lift (core func $p "deliver") (memory $mem) (realloc $realloc)))
  (instance $self
    (export "mappable" (type $mappable)) (export "mapping" (type $mapping))
    (export "frozen" (type $frozen)) (export "frozen-mapping" (type $frozen-mapping))
    (export "accept-frozen" (func $accept-frozen)) (export "accept-frozen-mapping" (func $accept-frozen-mapping))
    (export "give-back-frozen" (func $give-back-frozen))
    (export "accept" (func $accept)) (export "accept-mapping" (func $accept-mapping)) (export "lend" (func $lent))
    (export "give-back" (func $give-back)) (export "poke" (func $touch)))
  (export "test:guest/peer" (instance $self))
"#;

/// The guest, with a memory of this type, as the fields of a component.
fn fields(memory: &str, types: &str, peer: &str) -> String {
    let module = format!(
        r#"(core module $M
            (memory (export "mem") {memory})
            (global $buffer (export "buffer") (mut i32) (i32.const 4096))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (global.get $buffer)))"#
    );
    format!("{} {IMPORT_ENV} {peer} {module} {BODY}", import_types(types))
}

/// A guest by itself.
pub fn guest(memory: &str) -> String {
    guest_importing(TYPES, memory)
}

/// A guest that knows the interface by this name.
pub fn guest_importing(types: &str, memory: &str) -> String {
    format!("(component {})", fields(memory, types, NO_PEER))
}

/// A guest that calls another.
pub fn caller(memory: &str) -> String {
    format!("(component {})", fields(memory, TYPES, IMPORT_PEER))
}

/// What such a component instantiates its guests with.
pub const WITH: &str =
    r#"(with "mappable:memory/types@0.1.0" (instance $types)) (with "test:host/env" (instance $env))"#;

/// Two guests, exported as `a` and `b`; `a` calls `b`.
pub fn pair(memory: &str) -> String {
    format!(
        r#"(component {types} {IMPORT_ENV}
            (component $leaf {leaf}) (component $caller {caller})
            (instance $b (instantiate $leaf {WITH}))
            (alias export $b "test:guest/peer" (instance $peer))
            (instance $a (instantiate $caller {WITH} (with "test:guest/peer" (instance $peer))))
            (export "a" (instance $a)) (export "b" (instance $b)))"#,
        types = import_types(TYPES),
        leaf = fields(memory, TYPES, NO_PEER),
        caller = fields(memory, TYPES, IMPORT_PEER),
    )
}

/// [`pair`], this many components deep.
pub fn nested(memory: &str, depth: usize) -> String {
    let mut inner = pair(memory);
    for _ in 0..depth {
        let nested = inner.replacen("(component", "(component $inner", 1);
        inner = format!(
            r#"(component {types} {IMPORT_ENV} {nested}
                (instance $i (instantiate $inner {WITH}))
                (alias export $i "a" (instance $a)) (alias export $i "b" (instance $b))
                (export "a" (instance $a)) (export "b" (instance $b)))"#,
            types = import_types(TYPES),
        );
    }
    inner
}

/// `text` with more in each of its guests: `core` in the core module that has the interface's functions, `lifts` in the
/// component around it, where that module's instance is `$p`.
pub fn extended(text: &str, core: &str, lifts: &str) -> String {
    const CORE: &str = r#"(func (export "identity")"#;
    const LIFTS: &str = "(instance $self\n";
    assert!(text.contains(CORE) && text.contains(LIFTS));
    text.replace(CORE, &format!("{core} {CORE}")).replace(LIFTS, &format!("{lifts} {LIFTS}"))
}

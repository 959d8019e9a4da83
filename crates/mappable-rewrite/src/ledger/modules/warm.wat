;; In front of a builtin that changes what is mapped, `(own<r>, list<u8>) -> result<own<s>, tuple<own<r>, map-error>>`:
;; where the same was done in the same view before, without the host.
(module $mappable-warm
  (import "" "callee" (func $callee (param i32 i32 i32 i32)))
  (import "" "memory" (memory $guest 0))
  (import "" "ledger" (memory $ledger 0))
  (import "" "record" (global $record (mut i32)))
  (import "" "forbidden" (global $forbidden (mut i32)))
  (import "" "take" (func $take (param i32 i32)))
  (import "" "adopt" (func $adopt (param i32 i32) (result i32)))
  (import "" "claim" (func $claim (param i32) (result i32)))
  (import "" "fail" (func $fail (param i32 i32 i32)))

  ;; Where the record of the guest's memory lies, or 0: not known yet.
  (global $memory-record (mut i32) (i32.const 0))

  (func (export "call") (param $handle i32) (param $at i32) (param $len i32) (param $ret i32)
    (local $index i32) (local $entry i32) (local $region i32) (local $source i32) (local $selector i32) (local $transition i32)
    (if (global.get $forbidden) (then (call $fail (i32.const @CannotLeave) (i32.const 0) (i32.const 0))))
    ;; What the engine would only see after the host has run: `refresh` says why that is too late.
    (if (i32.and (local.get $ret) (i32.const 3))
      (then (call $fail (i32.const @Misaligned) (local.get $ret) (i32.const 0))))
    (drop (i32.load8_u $guest offset=11 (local.get $ret)))
    (block $slow
      (local.set $index (i32.xor (local.get $handle) (i32.const @MARK)))
      (if (i32.ge_u (local.get $index) (i32.load $ledger offset=@TABLE_USED (global.get $record)))
        (then
          ;; The engine may have it still.
          (local.set $handle (call $adopt (local.get $handle) (i32.const @TAKEN)))
          (local.set $index (i32.xor (local.get $handle) (i32.const @MARK)))
          (br_if $slow (i32.ge_u (local.get $index) (i32.load $ledger offset=@TABLE_USED (global.get $record))))))
      (local.set $entry
        (i32.add (i32.load $ledger offset=@TABLE_CHUNK (global.get $record)) (i32.shl (local.get $index) (i32.const 3))))
      (if (i32.ne (i32.load $ledger offset=@ENTRY_TAG (local.get $entry)) (i32.const @TAKEN))
        (then
          (drop (call $adopt (local.get $handle) (i32.const @TAKEN)))
          (br_if $slow (i32.ne (i32.load $ledger offset=@ENTRY_TAG (local.get $entry)) (i32.const @TAKEN)))))
      (br_if $slow (i32.load $ledger (i32.const @LINGERING)))
      (br_if $slow (i32.eqz (global.get $memory-record)))
      (br_if $slow (i32.eqz (local.tee $selector (i32.load $ledger offset=@MEMORY_SELECTOR (global.get $memory-record)))))
      ;; A result that goes into frozen bytes is private to the mapping: the host's store makes it so, ours would trap.
      (br_if $slow (i32.and
        (i32.lt_u (i32.shr_u (local.get $ret) (i32.const 16))
          (i32.load $ledger offset=@MEMORY_FROZEN_END (global.get $memory-record)))
        (i32.ge_u (i32.shr_u (i32.add (local.get $ret) (i32.const 11)) (i32.const 16))
          (i32.load $ledger offset=@MEMORY_FROZEN_START (global.get $memory-record)))))
      (local.set $region
        (i32.add (i32.const @REGIONS)
          (i32.mul (i32.load $ledger offset=@ENTRY_REGION (local.get $entry)) (i32.const @REGION))))
      (local.set $source (i32.load $ledger offset=@REGION_SOURCE (local.get $region)))
      (br_if $slow (i32.eq (local.get $source) (i32.const @NO_SOURCE)))
@ALLOWED
      (local.set $transition (call $transition (local.get $selector) (local.get $source) (local.get $at)))
      (br_if $slow (i32.ne (i32.load $ledger offset=@TRANSITION_FROM (local.get $transition)) (local.get $selector)))
      (br_if $slow (i64.ne (i64.load $ledger offset=@TRANSITION_GENERATION (local.get $transition))
        (i64.load $ledger offset=@MEMORY_GENERATION (global.get $memory-record))))
      (br_if $slow (i32.ne (i32.load $ledger offset=@TRANSITION_SOURCE (local.get $transition)) (local.get $source)))
      (br_if $slow (i32.ne (i32.load $ledger offset=@TRANSITION_GRANULES (local.get $transition))
        (i32.load $ledger offset=@REGION_GRANULES (local.get $region))))
      (br_if $slow (i32.ne (i32.load $ledger offset=@TRANSITION_AT (local.get $transition)) (local.get $at)))
      (br_if $slow (i32.ne (i32.load $ledger offset=@TRANSITION_LEN (local.get $transition)) @PLACED))
      (br_if $slow (i32.eqz (local.tee $selector (i32.load $ledger offset=@TRANSITION_TO (local.get $transition)))))

      ;; The result, where the guest's memory still lies: as the engine puts it.
      (i32.store8 $guest (local.get $ret) (i32.const 0))
      (i32.store $guest offset=4 (local.get $ret) (local.get $handle))
      (i32.store $ledger offset=@ENTRY_TAG (local.get $entry) (i32.const @GIVEN))
@CHANGED
      ;; From here to the grow: no call, no loop.
      (i32.store $ledger offset=@MEMORY_SELECTOR (global.get $memory-record) (local.get $selector))
      (if (i32.eq (memory.grow $guest (i32.const 0)) (i32.const -1))
        (then (call $fail (i32.const @Refused) (i32.const 0) (i32.const 0))))
      (return))
    (call $cold (local.get $handle) (local.get $at) (local.get $len) (local.get $ret)))

  ;; Where the entry of an owned handle of the right kind lies, or 0.
  (func $entry (param $handle i32) (result i32)
    (local $entry i32)
    (local.set $handle (i32.xor (local.get $handle) (i32.const @MARK)))
    (if (i32.ge_u (local.get $handle) (i32.load $ledger offset=@TABLE_USED (global.get $record)))
      (then (return (i32.const 0))))
    (local.set $entry
      (i32.add (i32.load $ledger offset=@TABLE_CHUNK (global.get $record)) (i32.shl (local.get $handle) (i32.const 3))))
    (select (local.get $entry) (i32.const 0)
      (i32.eq (i32.load $ledger offset=@ENTRY_TAG (local.get $entry)) (i32.const @TAKEN))))

  ;; Where the transition from that view is cached, if it is.
  (func $transition (param $selector i32) (param $source i32) (param $at i32) (result i32)
    (i32.add (i32.add (global.get $memory-record) (i32.const @MEMORY_TRANSITIONS))
      (i32.and
        (i32.shr_u
          (i32.mul
            (i32.add (i32.add (local.get $selector) (i32.shl (local.get $source) (i32.const 6)))
              (i32.shr_u (local.get $at) (i32.const 4)))
            (i32.const 0x9e3779b1))
          (i32.const @TRANSITION_SHIFT))
        (i32.const @TRANSITION_MASK))))

  ;; By way of the host. Then the transition is kept, there and back.
  (func $cold (param $handle i32) (param $at i32) (param $len i32) (param $ret i32)
    (local $region i32) (local $memory-record i32) (local $from i32) (local $generation i64) (local $placed i32) (local $to i32)
    (local $lingering i32) (local $entry i32)
    ;; The region, if the handle is good; if not, `slow` says so.
    (if (local.tee $entry (call $entry (local.get $handle)))
      (then
        (local.set $region
          (i32.add (i32.const @REGIONS)
            (i32.mul (i32.load $ledger offset=@ENTRY_REGION (local.get $entry)) (i32.const @REGION))))))
    ;; What is shown though it was dropped goes with any change: that leads from this view, but not back to it.
    (local.set $lingering (i32.load $ledger (i32.const @LINGERING)))
@KNOWN
    (if (local.get $memory-record)
      (then
        (local.set $from (i32.load $ledger offset=@MEMORY_SELECTOR (local.get $memory-record)))
        (local.set $generation (i64.load $ledger offset=@MEMORY_GENERATION (local.get $memory-record)))))

    (if (i32.eqz (call $slow (local.get $handle) (local.get $at) (local.get $len) (local.get $ret))) (then (return)))
@LEARNT
    (if (i32.eqz (local.get $memory-record)) (then (return)))
    (if (i32.or (local.get $lingering) (i32.load $ledger (i32.const @LINGERING))) (then (return)))
    (local.set $to (i32.load $ledger offset=@MEMORY_SELECTOR (local.get $memory-record)))
    (if (i32.eqz (local.get $from)) (then (return)))
    (if (i32.eqz (local.get $to)) (then (return)))
    (if (i64.ne (local.get $generation) (i64.load $ledger offset=@MEMORY_GENERATION (local.get $memory-record))) (then (return)))
    (if (i32.eq (i32.load $ledger offset=@REGION_SOURCE (local.get $region)) (i32.const @NO_SOURCE)) (then (return)))
    (call $keep (local.get $from) (local.get $to) (local.get $region) (local.get $at) @THERE)
    (call $keep (local.get $to) (local.get $from) (local.get $region) (local.get $at) @BACK))

  (func $keep (param $from i32) (param $to i32) (param $region i32) (param $at i32) (param $len i32)
    (local $source i32) (local $transition i32)
    (local.set $source (i32.load $ledger offset=@REGION_SOURCE (local.get $region)))
    (local.set $transition (call $transition (local.get $from) (local.get $source) (local.get $at)))
    (i32.store $ledger offset=@TRANSITION_FROM (local.get $transition) (local.get $from))
    (i64.store $ledger offset=@TRANSITION_GENERATION (local.get $transition)
      (i64.load $ledger offset=@MEMORY_GENERATION (global.get $memory-record)))
    (i32.store $ledger offset=@TRANSITION_SOURCE (local.get $transition) (local.get $source))
    (i32.store $ledger offset=@TRANSITION_GRANULES (local.get $transition)
      (i32.load $ledger offset=@REGION_GRANULES (local.get $region)))
    (i32.store $ledger offset=@TRANSITION_AT (local.get $transition) (local.get $at))
    (i32.store $ledger offset=@TRANSITION_LEN (local.get $transition) (local.get $len))
    (i32.store $ledger offset=@TRANSITION_TO (local.get $transition) (local.get $to)))

  ;; Whether the region was mapped or unmapped.
  (func $slow (param $handle i32) (param $at i32) (param $len i32) (param $ret i32) (result i32)
    (local $kind i32)
    (if (i32.load $ledger (i32.const @FLIGHT_LEN))
      (then (call $fail (i32.const @Interrupted) (i32.const 0) (i32.const 0))))
    (call $take (local.get $handle) (i32.const @TAKEN))
    (i32.store $ledger (i32.const @FLIGHT_NEXT) (i32.const 0))
    (i64.store $ledger (i32.const @FLIGHT_SEQ)
      (i64.add (i64.load $ledger (i32.const @FLIGHT_SEQ)) (i64.const 1)))
    (call $callee (local.get $handle) (local.get $at) (local.get $len) (local.get $ret))
    ;; Where the engine put the rest of the result. The index will be the one that was just given up.
    (i32.store $guest offset=4 (local.get $ret) (local.get $handle))
    ;; Takes the new base in.
    (if (i32.eq (memory.grow $guest (i32.const 0)) (i32.const -1))
      (then (call $fail (i32.const @Refused) (i32.const 0) (i32.const 0))))
    ;; What arrived tells how it went. The return area may be hidden by now.
    (local.set $kind (i32.load $ledger (i32.const @FIRST_KIND)))
    (if (i32.ne (local.get $kind) (i32.const @TAKEN)) (then (local.set $kind (i32.const @GIVEN))))
    (if (i32.ne (call $claim (local.get $kind)) (local.get $handle))
      (then (call $fail (i32.const @Bug) (i32.const 6) (local.get $handle))))
    (if (i32.ne (i32.load $ledger (i32.const @FLIGHT_NEXT)) (i32.load $ledger (i32.const @FLIGHT_LEN)))
      (then (call $fail (i32.const @Flight)
        (i32.load $ledger (i32.const @FLIGHT_NEXT)) (i32.load $ledger (i32.const @FLIGHT_LEN)))))
    (i32.store $ledger (i32.const @FLIGHT_NEXT) (i32.const 0))
    (i32.store $ledger (i32.const @FLIGHT_LEN) (i32.const 0))
    (i32.eq (local.get $kind) (i32.const @GIVEN))))

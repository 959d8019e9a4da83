;; In front of a builtin that changes what is mapped, `(own<r>, list<u8>) -> result<own<s>, tuple<own<r>, map-error>>`,
;; by way of the host alone: as it is for frozen regions.
(module $mappable-swap
  (import "" "callee" (func $callee (param i32 i32 i32 i32)))
  (import "" "memory" (memory $guest 0))
  (import "" "ledger" (memory $ledger 0))
  (import "" "forbidden" (global $forbidden (mut i32)))
  (import "" "take" (func $take (param i32 i32)))
  (import "" "claim" (func $claim (param i32) (result i32)))
  (import "" "fail" (func $fail (param i32 i32 i32)))

  (func (export "call") (param $handle i32) (param $at i32) (param $len i32) (param $ret i32)
    (if (global.get $forbidden) (then (call $fail (i32.const @CannotLeave) (i32.const 0) (i32.const 0))))
    ;; What the engine would only see after the host has run: `refresh` says why that is too late.
    (if (i32.and (local.get $ret) (i32.const 3))
      (then (call $fail (i32.const @Misaligned) (local.get $ret) (i32.const 0))))
    (drop (i32.load8_u $guest offset=11 (local.get $ret)))
    (drop (call $slow (local.get $handle) (local.get $at) (local.get $len) (local.get $ret))))

@SLOW)

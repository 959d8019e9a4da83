;; What a guest with handles has. Kept handles lie by kind, borrowed ones by kind and 4.
(func $count (param $kind i32) (result i32) (i32.load offset=1024 (i32.shl (local.get $kind) (i32.const 2))))
(func $set-count (param $kind i32) (param $count i32)
  (i32.store offset=1024 (i32.shl (local.get $kind) (i32.const 2)) (local.get $count)))
(func $place (param $kind i32) (param $nth i32) (result i32)
  (i32.add (i32.shl (local.get $kind) (i32.const 12)) (i32.shl (local.get $nth) (i32.const 2))))
(func $keep (param $kind i32) (param $handle i32)
  (if (i32.ge_u (call $count (local.get $kind)) (i32.const 1000)) (then (unreachable)))
  (i32.store (call $place (local.get $kind) (call $count (local.get $kind))) (local.get $handle))
  (call $set-count (local.get $kind) (i32.add (call $count (local.get $kind)) (i32.const 1))))
;; The first is never taken: it may be lent. 0 if there is no other.
(func $take (param $kind i32) (result i32)
  (if (i32.lt_u (call $count (local.get $kind)) (i32.const 2)) (then (return (i32.const 0))))
  (call $set-count (local.get $kind) (i32.sub (call $count (local.get $kind)) (i32.const 1)))
  (i32.load (call $place (local.get $kind) (call $count (local.get $kind)))))
(func $drop-any (param $kind i32) (param $handle i32)
  (if (i32.eq (local.get $kind) (i32.const 1)) (then (call $drop-1 (local.get $handle))))
  (if (i32.eq (local.get $kind) (i32.const 2)) (then (call $drop-2 (local.get $handle))))
  (if (i32.eq (local.get $kind) (i32.const 3)) (then (call $drop-3 (local.get $handle))))
  (if (i32.eq (local.get $kind) (i32.const 4)) (then (call $drop-4 (local.get $handle)))))
;; The return area is at 256. What a change of what is mapped gave: kept by one kind, or if it failed by the other.
(func $changed (param $to i32) (param $from i32)
  (call $mix (i64.load8_u (i32.const 256)))
  (if (i32.load8_u (i32.const 256))
    (then (call $mix (i64.load8_u offset=8 (i32.const 256)))
          (call $keep (local.get $from) (i32.load offset=4 (i32.const 256))))
    (else (call $keep (local.get $to) (i32.load offset=4 (i32.const 256))))))
(func $pop (param $kind i32) (result i32)
  (if (i32.eqz (call $count (local.get $kind))) (then (return (i32.const 0))))
  (call $set-count (local.get $kind) (i32.sub (call $count (local.get $kind)) (i32.const 1)))
  (i32.load (call $place (local.get $kind) (call $count (local.get $kind)))))
(func $look (param $at i32)
  (call $mix (i64.load (local.get $at))) (call $mix (i64.load offset=8 (local.get $at)))
  (call $mix (i64.load offset=4096 (local.get $at))) (call $mix (i64.load offset=65528 (local.get $at))))
;; An owned handle was received: its bytes are looked at, and changed if they can be; then it is kept.
(func $owned (export "owned") (param $kind i32) (param $handle i32)
  (call $mix (i64.extend_i32_u (local.get $kind)))
  (if (i32.eq (local.get $kind) (i32.const 1)) (then
    (call $mix (call $size (local.get $handle)))
    (loop $again
      (call $map (local.get $handle) (i32.const 0x10000) (i32.const 0x20000) (i32.const 256))
      (if (i32.load8_u (i32.const 256)) (then (call $changed (i32.const 2) (i32.const 1)) (return)))
      (call $look (i32.const 0x10000))
      (i64.store offset=0x11000 (i32.const 0) (i64.extend_i32_u (call $rand)))
      (i64.store offset=0x10008 (i32.const 0) (i64.add (i64.const 1) (i64.load offset=0x10008 (i32.const 0))))
      (if (i32.eqz (i32.and (call $rand) (i32.const 63))) (then (drop (memory.grow (i32.const 1)))))
      (call $unmap (i32.load offset=4 (i32.const 256)) (i32.const 0x10000) (i32.const 0x20000) (i32.const 256))
      (call $mix (i64.load offset=0x10008 (i32.const 0)))
      (if (i32.load8_u (i32.const 256)) (then (call $changed (i32.const 1) (i32.const 2)) (return)))
      ;; Again, without the host's help.
      (local.set $handle (i32.load offset=4 (i32.const 256)))
      (br_if $again (i32.and (call $rand) (i32.const 1))))
    (call $changed (i32.const 1) (i32.const 2)) (return)))
  (if (i32.eq (local.get $kind) (i32.const 3)) (then
    (call $mix (call $size-frozen (local.get $handle)))
    (call $map-frozen (local.get $handle) (i32.const 0x30000) (i32.const 0x20000) (i32.const 256))
    (if (i32.load8_u (i32.const 256)) (then (call $changed (i32.const 4) (i32.const 3)) (return)))
    (call $look (i32.const 0x30000))
    (if (call $mis (global.get $FrozenStore)) (then
      (i64.store offset=0x30008 (i32.const 0) (i64.extend_i32_u (call $rand)))
      (call $look (i32.const 0x30000))))
    (call $unmap-frozen (i32.load offset=4 (i32.const 256)) (i32.const 0x30000) (i32.const 0x20000) (i32.const 256))
    (call $mix (i64.load offset=0x30008 (i32.const 0)))
    (call $changed (i32.const 3) (i32.const 4)) (return)))
  (if (call $mis (global.get $ForeignUnmap)) (then
    (call $unmap (local.get $handle) (i32.const 0x60000) (i32.const 0x10000) (i32.const 256))
    ;; What was refused came back by another index, perhaps.
    (call $changed (i32.const 1) (i32.const 2)) (return)))
  (call $keep (local.get $kind) (local.get $handle)))
;; A borrowed handle was received: its bytes are read.
(func (export "lent") (param $kind i32) (param $handle i32)
  (call $mix (i64.extend_i32_u (local.get $kind)))
  (if (i32.eq (local.get $kind) (i32.const 1))
    (then (call $mix (call $size (local.get $handle)))
          (call $read (local.get $handle) (i64.const 4) (i32.const 16) (i32.const 256)))
    (else (call $mix (call $size-frozen (local.get $handle)))
          (call $read-frozen (local.get $handle) (i64.const 4) (i32.const 16) (i32.const 256))))
  (call $mix (i64.load8_u (i32.const 256)))
  (if (i32.eqz (i32.load8_u (i32.const 256))) (then (call $mix (i64.load (i32.load offset=4 (i32.const 256))))))
  (call $keep (i32.add (local.get $kind) (i32.const 4)) (local.get $handle)))
;; The function is about to return.
(func (export "give-back") (local $kind i32)
  (local.set $kind (i32.const 1))
  (loop $again
    (if (call $count (i32.add (local.get $kind) (i32.const 4)))
      (then (if (call $mis (global.get $BorrowKept))
              (then (drop (call $pop (i32.add (local.get $kind) (i32.const 4)))))
              (else (call $drop-any (local.get $kind) (call $pop (i32.add (local.get $kind) (i32.const 4))))))
            (br $again))
      (else (local.set $kind (i32.add (local.get $kind) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $kind) (i32.const 5))))))
  (call $trim (i32.const 6)))
;; No more than so many of each kind are kept.
(func $trim (param $most i32) (local $kind i32) (local $handle i32)
  (local.set $kind (i32.const 1))
  (loop $again
    (if (i32.gt_u (call $count (local.get $kind)) (local.get $most))
      (then (local.set $handle (call $take (local.get $kind)))
            (call $drop-any (local.get $kind) (local.get $handle))
            (br $again))
      (else (local.set $kind (i32.add (local.get $kind) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $kind) (i32.const 5)))))))
;; Whether there was no handle to pass on since this was asked.
(global $starving (mut i32) (i32.const 0))
(func (export "starved") (result i32) (global.get $starving) (global.set $starving (i32.const 0)))
;; Where something is mapped for long.
(global $slots (mut i32) (i32.const 0))
(func $slot (result i32)
  (global.set $slots (i32.add (global.get $slots) (i32.const 1)))
  (i32.add (i32.const 0x60000) (i32.shl (i32.and (global.get $slots) (i32.const 7)) (i32.const 16))))
;; A new handle of a kind; or an old one, but the first; or 0, where there is no room for any: `starved` tells.
(func $fresh (param $kind i32) (result i32) (local $handle i32)
  (if (i32.eqz (local.tee $handle (call $try (local.get $kind)))) (then
    ;; Room is made.
    (call $trim (i32.const 1))
    (local.set $handle (call $try (local.get $kind)))
    (if (i32.eqz (local.get $handle)) (then (global.set $starving (i32.const 1))))))
  (local.get $handle))
(func $try (param $kind i32) (result i32) (local $handle i32) (local $slots i32)
  (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (call $new))))
  (if (i32.eq (local.get $kind) (i32.const 3)) (then
    (if (i32.eqz (local.tee $handle (call $new))) (then (return (call $take (i32.const 3)))))
    (return (call $freeze (local.get $handle)))))
  (if (call $count (local.get $kind)) (then (return (call $pop (local.get $kind)))))
  ;; The placements may be used.
  (local.set $slots (i32.const 8))
  (loop $again
    (if (i32.eqz (local.tee $handle (call $new))) (then (return (i32.const 0))))
    (if (i32.eq (local.get $kind) (i32.const 2))
      (then (call $map (local.get $handle) (call $slot) (i32.const 0x10000) (i32.const 256))
            (call $changed (i32.const 2) (i32.const 1)))
      (else (call $map-frozen (call $freeze (local.get $handle)) (call $slot) (i32.const 0x10000) (i32.const 256))
            (call $changed (i32.const 4) (i32.const 3))))
    (if (call $count (local.get $kind)) (then (return (call $pop (local.get $kind)))))
    (call $trim (i32.const 6))
    (br_if $again (local.tee $slots (i32.sub (local.get $slots) (i32.const 1)))))
  (i32.const 0))
;; A new region, with something in it; or an old one, but the first.
(func $new (result i32) (local $handle i32)
  (call $allocate
    (select (i64.const 0x20000) (i64.const 0x10000) (i32.eqz (i32.and (call $rand) (i32.const 7)))) (i32.const 256))
  (call $mix (i64.load8_u (i32.const 256)))
  (if (i32.load8_u (i32.const 256)) (then (return (call $take (i32.const 1)))))
  (local.set $handle (i32.load offset=4 (i32.const 256)))
  (i64.store (i32.const 512) (i64.extend_i32_u (call $rand)))
  (i64.store (i32.const 520) (i64.extend_i32_u (call $rand)))
  (call $write (local.get $handle) (i64.const 0) (i32.const 512) (i32.const 16) (i32.const 256))
  (call $write (local.get $handle) (i64.const 65532) (i32.const 512) (i32.const 4) (i32.const 256))
  (local.get $handle))
;; An index that may be a handle's: with the bit that the ledger's have, where they have one.
(func $guess (param $kind i32) (result i32)
  (i32.or (i32.and (call $fresh (local.get $kind)) (i32.const 0x20000000))
    (i32.add (i32.const 1) (i32.and (call $rand) (i32.const 7)))))
;; A handle to pass on.
(func $give (export "give") (param $kind i32) (result i32) (local $handle i32)
  (if (call $mis (global.get $Zero)) (then (return (i32.const 0))))
  (if (call $mis (global.get $Unknown)) (then (return (i32.const 0xfffff))))
  (if (call $mis (global.get $AnyIndex)) (then (return (call $guess (local.get $kind)))))
  (if (call $mis (global.get $Stale)) (then
    (local.set $handle (call $fresh (local.get $kind)))
    (call $drop-any (local.get $kind) (local.get $handle)) (return (local.get $handle))))
  (if (call $mis (global.get $Twice)) (then
    (local.set $handle (call $fresh (local.get $kind)))
    (call $keep (local.get $kind) (local.get $handle))
    (call $keep (local.get $kind) (local.get $handle)) (return (call $pop (local.get $kind)))))
  (if (call $mis (global.get $OtherKind)) (then
    (return (call $fresh (select (i32.const 3) (i32.const 1) (i32.eq (local.get $kind) (i32.const 1)))))))
  (if (i32.eq (local.get $kind) (i32.const 1)) (then
    (if (call $mis (global.get $Mapped)) (then
      (local.set $handle (call $fresh (i32.const 1)))
      (call $map (local.get $handle) (i32.const 0x10000) (i32.const 0x20000) (i32.const 256))
      (return (local.get $handle))))))
  (if (call $count (i32.add (i32.const 4) (local.get $kind))) (then
    (if (call $mis (global.get $BorrowGiven)) (then
      (return (i32.load (call $place (i32.add (i32.const 4) (local.get $kind)) (i32.const 0))))))))
  (if (call $count (local.get $kind)) (then
    (if (call $mis (global.get $LentGiven)) (then
      (return (i32.load (call $place (local.get $kind) (i32.const 0))))))))
  (if (i32.and (call $rand) (i32.const 1)) (then
    (local.set $handle (call $take (local.get $kind)))
    (if (local.get $handle) (then (return (local.get $handle))))))
  (call $fresh (local.get $kind)))
;; A handle to lend.
(func (export "lend") (param $kind i32) (result i32) (local $handle i32)
  (if (call $mis (global.get $ZeroLent)) (then (return (i32.const 0))))
  (if (call $mis (global.get $AnyIndexLent)) (then (return (call $guess (local.get $kind)))))
  (if (call $mis (global.get $OtherKindLent)) (then
    (return (call $fresh (select (i32.const 3) (i32.const 1) (i32.eq (local.get $kind) (i32.const 1)))))))
  (if (i32.and (call $rand) (i32.const 1)) (then
    (if (call $count (i32.add (i32.const 4) (local.get $kind))) (then
      (return (i32.load (call $place (i32.add (i32.const 4) (local.get $kind)) (i32.const 0))))))))
  (if (i32.eqz (call $count (local.get $kind))) (then
    (local.set $handle (call $fresh (local.get $kind)))
    (if (i32.eqz (local.get $handle)) (then (return (i32.const 0))))
    (call $keep (local.get $kind) (local.get $handle))))
  (i32.load (call $place (local.get $kind) (i32.const 0))))
;; Maps and unmaps two regions many times: what is mapped where is `one` and `other`, 0 if nothing is.
(func $swing (param $low i32) (param $high i32) (local $one i32) (local $other i32) (local $times i32) (local $swap i32)
  (local.set $times (i32.const 12))
  (loop $next
    (if (i32.and (call $rand) (i32.const 1))
      (then (if (local.get $one)
        (then (call $unmap (local.get $one) (i32.const 0x10000) (i32.const 0x20000) (i32.const 256))
              (if (call $went) (then (local.set $low (call $got)) (local.set $one (i32.const 0))) (else (local.set $one (call $got)))))
        (else (call $map (local.get $low) (i32.const 0x10000)
                (select (i32.const 0x20000) (i32.const 0x10000) (i32.and (call $rand) (i32.const 1))) (i32.const 256))
              (if (call $went) (then (local.set $one (call $got)) (local.set $low (i32.const 0))) (else (local.set $low (call $got)))))))
      (else (if (local.get $other)
        (then (call $unmap (local.get $other) (i32.const 0x30000) (i32.const 0x20000) (i32.const 256))
              (if (call $went) (then (local.set $high (call $got)) (local.set $other (i32.const 0))) (else (local.set $other (call $got)))))
        (else (call $map (local.get $high) (i32.const 0x30000) (i32.const 0x20000) (i32.const 256))
              (if (call $went) (then (local.set $other (call $got)) (local.set $high (i32.const 0))) (else (local.set $high (call $got))))))))
    (call $mix (i64.load (i32.const 0x10000))) (call $mix (i64.load (i32.const 0x30000)))
    (call $mix (i64.load (i32.const 0x20000))) (call $mix (i64.load (i32.const 0x40000)))
    (i64.store (i32.const 0x10010) (i64.extend_i32_u (call $rand)))
    (i64.store (i32.const 0x30010) (i64.extend_i32_u (call $rand)))
    ;; What is mapped where may be the other one next time.
    (if (i32.and (i32.eqz (i32.or (local.get $one) (local.get $other))) (i32.eqz (i32.and (call $rand) (i32.const 3))))
      (then (local.set $swap (local.get $low)) (local.set $low (local.get $high)) (local.set $high (local.get $swap))))
    (if (i32.eqz (i32.and (call $rand) (i32.const 127))) (then (drop (memory.grow (i32.const 1)))))
    (br_if $next (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
  ;; All is given up but what is not mapped.
  (if (local.get $one) (then (call $drop-2 (local.get $one))) (else (call $keep (i32.const 1) (local.get $low))))
  (if (local.get $other) (then (call $drop-2 (local.get $other))) (else (call $keep (i32.const 1) (local.get $high)))))
;; Whether the last change of what is mapped succeeded, and the handle that it gave.
(func $went (result i32)
  (call $mix (i64.load8_u (i32.const 256)))
  (i32.eqz (i32.load8_u (i32.const 256))))
(func $got (result i32) (i32.load offset=4 (i32.const 256)))
;; Something with what is kept.
(global $shown (mut i32) (i32.const 0))
(func (export "act") (local $handle i32) (local $before i32)
  (call $trim (i32.const 6))
  (block $arena (block $again (block $copy (block $slice
  (block $frozen-map (block $join (block $split (block $clone (block $drop (block $thaw (block $freeze
    (br_table $freeze $thaw $drop $clone $split $join $frozen-map $slice $copy $again $again $arena
      (i32.rem_u (call $rand) (i32.const 12))))
    ;; $freeze
    (if (local.tee $handle (call $take (i32.const 1))) (then
      (call $keep (i32.const 3) (call $freeze (local.get $handle))))) (return))
    ;; $thaw
    (if (local.tee $handle (call $take (i32.const 3))) (then
      (call $thaw (local.get $handle) (i32.const 256))
      (call $mix (i64.load8_u (i32.const 256)))
      (call $keep (select (i32.const 3) (i32.const 1) (i32.load8_u (i32.const 256)))
        (i32.load offset=4 (i32.const 256))))) (return))
    ;; $drop
    (local.set $handle (i32.add (i32.const 1) (i32.and (call $rand) (i32.const 3))))
    (if (i32.ge_u (call $count (local.get $handle)) (i32.const 2)) (then
      (call $mix (i64.extend_i32_u (local.get $handle)))
      (call $drop-any (local.get $handle) (call $take (local.get $handle))))) (return))
    ;; $clone
    (if (call $count (i32.const 3)) (then
      (call $clone (i32.load (call $place (i32.const 3) (i32.const 0))) (i32.const 256))
      (call $mix (i64.load8_u (i32.const 256)))
      (if (i32.eqz (i32.load8_u (i32.const 256))) (then
        (call $keep (i32.const 3) (i32.load offset=4 (i32.const 256))))))) (return))
    ;; $split
    (if (local.tee $handle (call $take (i32.const 1))) (then
      (call $split (local.get $handle) (i64.const 0x10000) (i32.const 256))
      (call $mix (i64.load8_u (i32.const 256)))
      (call $keep (i32.const 1) (i32.load offset=4 (i32.const 256)))
      (if (i32.eqz (i32.load8_u (i32.const 256))) (then
        (call $keep (i32.const 1) (i32.load offset=8 (i32.const 256))))))) (return))
    ;; $join
    (if (i32.ge_u (call $count (i32.const 1)) (i32.const 3)) (then
      (local.set $handle (call $take (i32.const 1)))
      (call $join (call $take (i32.const 1)) (local.get $handle) (i32.const 256))
      (call $mix (i64.load8_u (i32.const 256)))
      (call $keep (i32.const 1) (i32.load offset=4 (i32.const 256)))
      (if (i32.load8_u (i32.const 256)) (then
        (call $keep (i32.const 1) (i32.load offset=8 (i32.const 256))))))) (return))
    ;; $frozen-map
    (if (local.tee $handle (call $take (i32.const 3))) (then
      (call $map-frozen (local.get $handle) (call $slot) (i32.const 0x10000) (i32.const 256))
      (call $changed (i32.const 4) (i32.const 3)))) (return))
    ;; $slice
    (if (call $count (i32.const 3)) (then
      (call $slice (i32.load (call $place (i32.const 3) (i32.const 0)))
        (i64.shl (i64.extend_i32_u (i32.and (call $rand) (i32.const 1))) (i64.const 16)) (i64.const 0x10000)
        (i32.const 256))
      (call $mix (i64.load8_u (i32.const 256)))
      (if (i32.eqz (i32.load8_u (i32.const 256))) (then
        (call $keep (i32.const 3) (i32.load offset=4 (i32.const 256))))))) (return))
    ;; $copy
    (if (call $count (i32.const 3)) (then
      (call $copy (i32.load (call $place (i32.const 3) (i32.const 0))) (i32.const 256))
      (call $mix (i64.load8_u (i32.const 256)))
      (if (i32.eqz (i32.load8_u (i32.const 256))) (then
        (call $keep (i32.const 1) (i32.load offset=4 (i32.const 256))))))) (return))
    ;; $again: two regions come and go in the same places, in any order
    (loop $more (if (i32.lt_u (call $count (i32.const 1)) (i32.const 3)) (then
      (local.set $before (call $count (i32.const 1)))
      (if (i32.eqz (local.tee $handle (call $new))) (then (return)))
      (call $keep (i32.const 1) (local.get $handle))
      ;; Where there is no room it was an old one.
      (br_if $more (i32.gt_u (call $count (i32.const 1)) (local.get $before))))))
    (if (i32.ge_u (call $count (i32.const 1)) (i32.const 3)) (then
      (call $swing (call $take (i32.const 1)) (call $take (i32.const 1))))) (return))
  ;; $arena: from here on what is allocated lies in a region that is mapped, or no longer
  (if (global.get $shown)
    (then
      (call $set-arena (i32.const 0))
      ;; Handles in it are not the same numbers in each tier, and the embedder may see the region.
      (memory.fill (i32.const 0x50010) (i32.const 0) (i32.const 0xfff0))
      (call $unmap (global.get $shown) (i32.const 0x50000) (i32.const 0x10000) (i32.const 256))
      (global.set $shown (i32.const 0))
      (call $changed (i32.const 1) (i32.const 2)))
    (else
      (if (i32.eqz (local.tee $handle (call $new))) (then (return)))
      (call $map (local.get $handle) (i32.const 0x50000) (i32.const 0x10000) (i32.const 256))
      (call $mix (i64.load8_u (i32.const 256)))
      (if (i32.load8_u (i32.const 256))
        (then (call $changed (i32.const 2) (i32.const 1)))
        (else (global.set $shown (i32.load offset=4 (i32.const 256)))
              (call $set-arena (i32.const 0x50010)))))))

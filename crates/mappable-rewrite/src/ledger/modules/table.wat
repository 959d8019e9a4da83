;; The handle table of one component instance. Its entries lie in the ledger; guests hold their indices.
;; Words that begin with an at sign are the constants of `layout` and `interface` (see `tests/assembled.rs`).
(module $mappable-table
  (import "" "ledger" (memory $ledger 0))
  (import "" "join" (func $host_join (param i32 i32 i32 i32) (result i32)))
  (import "" "more" (func $host_more (param i32)))
  (import "" "drop" (func $host_drop (param i32 i32)))
  (import "" "fail" (func $host_fail (param i32 i32 i32 i32)))

  ;; The table's number, and where its record lies.
  (global $number (export "number") (mut i32) (i32.const 0))
  (global $record (export "record") (mut i32) (i32.const 0))
  ;; Not 0 while a `realloc` or `post-return` of this component instance runs.
  (global $forbidden (export "forbidden") (mut i32) (i32.const 0))
  ;; The entry that was lent last and is still lent: each lent entry names the one before it, the first one @NOBODY.
  (global $lent (export "lent") (mut i32) (i32.const @NOBODY))
  ;; What the window was last refreshed for.
  (global $shown_memory (export "shown-memory") (mut i32) (i32.const 0))
  (global $shown_selector (export "shown-selector") (mut i32) (i32.const 0))
  (global $shown_version (export "shown-version") (mut i64) (i64.const 0))
  (global $shown_generation (export "shown-generation") (mut i64) (i64.const 0))

  ;; Until `join` returns the memory is this module's own, and holds the instance's name.
  (func $begin
    (global.set $number
      (call $host_join (i32.const 0) (i32.const 65536) (i32.const @NAME) (i32.load (i32.const @NAME_LEN))))
    ;; Takes in the ledger's base and length.
    (if (i32.eq (memory.grow (i32.const 0)) (i32.const -1)) (then unreachable))
    (if (i32.eqz (global.get $number)) (then unreachable))
    (if (i32.ge_u (global.get $number) (i32.const @MAX_TABLES)) (then unreachable))
    (global.set $record (i32.add (i32.const @TABLES) (i32.mul (global.get $number) (i32.const @TABLE))))
    ;; Entry 0 is never valid.
    (if (i32.eqz (i32.load offset=@TABLE_USED (global.get $record)))
      (then (i32.store offset=@TABLE_USED (global.get $record) (i32.const 1)))))
  (start $begin)

  (func $fail (export "fail") (param $code i32) (param $first i32) (param $second i32)
    (call $host_fail (global.get $number) (local.get $code) (local.get $first) (local.get $second))
    unreachable)

  ;; Where the entry of a handle lies.
  (func $entry (param $handle i32) (result i32)
    (if (i32.ge_u (local.get $handle) (i32.load offset=@TABLE_USED (global.get $record)))
      (then (call $fail (i32.const @UnknownHandle) (local.get $handle) (i32.const 0))))
    (if (i32.ge_u (local.get $handle) (i32.load offset=@TABLE_CAPACITY (global.get $record)))
      (then (call $fail (i32.const @Bug) (i32.const 1) (i32.const 0))))
    (i32.add (i32.load offset=@TABLE_CHUNK (global.get $record)) (i32.shl (local.get $handle) (i32.const 3))))

  ;; Says why the entry is not an owned one of that kind, that is not lent. Never returns.
  (func $refuse (param $handle i32) (param $kind i32) (param $entry i32)
    (local $tag i32)
    (local.set $tag (i32.load offset=@ENTRY_TAG (local.get $entry)))
    (if (i32.eqz (local.get $tag))
      (then (call $fail (i32.const @UnknownHandle) (local.get $handle) (i32.const 0))))
    (if (i32.ne (i32.and (local.get $tag) (i32.const 0xf)) (local.get $kind))
      (then
        ;; The mapping of a kind has the number after it.
        (if (i32.and
              (i32.and (local.get $kind) (i32.const 1))
              (i32.eq (i32.and (local.get $tag) (i32.const 0xf)) (i32.add (local.get $kind) (i32.const 1))))
          (then (call $fail (i32.const @Mapped) (local.get $handle)
            (i32.and (i32.load offset=@ENTRY_REGION (local.get $entry)) (i32.const @ALL_REGIONS)))))
        (call $fail (i32.const @WrongKind) (local.get $handle) (local.get $kind))))
    (if (i32.and (local.get $tag) (i32.const @BORROWED))
      (then (call $fail (i32.const @Borrowed) (local.get $handle) (i32.const 0))))
    (if (i32.shr_u (local.get $tag) (i32.const @LENDS_SHIFT))
      (then (call $fail (i32.const @Lent) (local.get $handle) (i32.const 0))))
    (call $fail (i32.const @Bug) (i32.const 2) (local.get $handle)))

  (func $free (param $handle i32) (param $entry i32)
    (i32.store offset=@ENTRY_TAG (local.get $entry) (i32.const 0))
    (i32.store offset=@ENTRY_REGION (local.get $entry) (i32.load offset=@TABLE_FREE (global.get $record)))
    (i32.store offset=@TABLE_FREE (global.get $record) (local.get $handle)))

  (func $full
    (call $fail (i32.const @FlightFull) (i32.const @MAX_FLIGHT) (i32.const 0)))

  ;; Out of the table, into the flight. What a hop does: all in one function.
  (func (export "take") (param $handle i32) (param $kind i32)
    (local $record i32) (local $entry i32) (local $len i32) (local $item i32)
    (local.set $record (global.get $record))
    (if (i32.ge_u (local.get $handle) (i32.load offset=@TABLE_USED (local.get $record)))
      (then (call $fail (i32.const @UnknownHandle) (local.get $handle) (i32.const 0))))
    (local.set $entry
      (i32.add (i32.load offset=@TABLE_CHUNK (local.get $record)) (i32.shl (local.get $handle) (i32.const 3))))
    (if (i32.ne (i32.load offset=@ENTRY_TAG (local.get $entry)) (local.get $kind))
      (then (call $refuse (local.get $handle) (local.get $kind) (local.get $entry))))
    (local.set $len (i32.load (i32.const @FLIGHT_LEN)))
    (if (i32.ge_u (local.get $len) (i32.const @MAX_FLIGHT)) (then (call $full)))
    (local.set $item (i32.shl (local.get $len) (i32.const 3)))
    (i32.store offset=@FLIGHT (local.get $item) (i32.load offset=@ENTRY_REGION (local.get $entry)))
    (i32.store offset=@FLIGHT_KIND (local.get $item) (local.get $kind))
    (i32.store (i32.const @FLIGHT_LEN) (i32.add (local.get $len) (i32.const 1)))
    (i32.store offset=@ENTRY_TAG (local.get $entry) (i32.const 0))
    (i32.store offset=@ENTRY_REGION (local.get $entry) (i32.load offset=@TABLE_FREE (local.get $record)))
    (i32.store offset=@TABLE_FREE (local.get $record) (local.get $handle)))

  ;; Into the flight as borrowed; stays in the table, lent until `release`. What is lent may be owned or borrowed.
  (func (export "lend") (param $handle i32) (param $kind i32)
    (local $entry i32) (local $tag i32) (local $len i32) (local $item i32)
    (local.set $entry (call $entry (local.get $handle)))
    (local.set $tag (i32.load offset=@ENTRY_TAG (local.get $entry)))
    (if (i32.ne (i32.and (local.get $tag) (i32.const 0xf)) (local.get $kind))
      (then (call $refuse (local.get $handle) (local.get $kind) (local.get $entry))))
    (local.set $len (i32.load (i32.const @FLIGHT_LEN)))
    (if (i32.ge_u (local.get $len) (i32.const @MAX_FLIGHT)) (then (call $full)))
    (local.set $item (i32.shl (local.get $len) (i32.const 3)))
    (i32.store offset=@FLIGHT (local.get $item)
      (i32.and (i32.load offset=@ENTRY_REGION (local.get $entry)) (i32.const @ALL_REGIONS)))
    (i32.store offset=@FLIGHT_KIND (local.get $item) (i32.or (local.get $kind) (i32.const @BORROWED)))
    (i32.store (i32.const @FLIGHT_LEN) (i32.add (local.get $len) (i32.const 1)))
    ;; Lent twice is lent.
    (if (i32.eqz (i32.shr_u (local.get $tag) (i32.const @LENDS_SHIFT)))
      (then
        (i32.store offset=@ENTRY_TAG (local.get $entry)
          (i32.or (local.get $tag) (i32.shl (global.get $lent) (i32.const @LENDS_SHIFT))))
        (global.set $lent (local.get $handle)))))

  ;; What was lent after `until` is so no more.
  (func (export "release") (param $until i32)
    (local $entry i32) (local $tag i32)
    (loop $next
      (if (i32.ne (global.get $lent) (local.get $until))
        (then
          (local.set $entry (call $entry (global.get $lent)))
          (local.set $tag (i32.load offset=@ENTRY_TAG (local.get $entry)))
          (global.set $lent (i32.shr_u (local.get $tag) (i32.const @LENDS_SHIFT)))
          ;; Nothing that is lent leaves the table.
          (if (i32.eqz (global.get $lent)) (then (call $fail (i32.const @Bug) (i32.const 3) (local.get $until))))
          (i32.store offset=@ENTRY_TAG (local.get $entry) (i32.and (local.get $tag) (i32.const @UNLENT)))
          (br $next)))))

  ;; The flight's next item, which must be of that tag.
  (func $next (param $tag i32) (result i32)
    (local $next i32) (local $item i32)
    (local.set $next (i32.load (i32.const @FLIGHT_NEXT)))
    (local.set $item (i32.shl (local.get $next) (i32.const 3)))
    (if (i32.or
          (i32.ge_u (local.get $next) (i32.load (i32.const @FLIGHT_LEN)))
          (i32.ne (i32.load offset=@FLIGHT_KIND (local.get $item)) (local.get $tag)))
      (then (call $fail (i32.const @Flight) (local.get $next) (i32.load (i32.const @FLIGHT_LEN)))))
    (i32.store (i32.const @FLIGHT_NEXT) (i32.add (local.get $next) (i32.const 1)))
    (i32.load offset=@FLIGHT (local.get $item)))

  ;; An entry that has never been used.
  (func $fresh (result i32)
    (local $handle i32)
    (local.set $handle (i32.load offset=@TABLE_USED (global.get $record)))
    (if (i32.ge_u (local.get $handle) (i32.load offset=@TABLE_CAPACITY (global.get $record)))
      (then
        (call $host_more (global.get $number))
        (if (i32.ge_u (local.get $handle) (i32.load offset=@TABLE_CAPACITY (global.get $record)))
          (then (call $fail (i32.const @Bug) (i32.const 1) (local.get $handle))))))
    (i32.store offset=@TABLE_USED (global.get $record) (i32.add (local.get $handle) (i32.const 1)))
    (local.get $handle))

  ;; Out of the flight, into the table. What a hop does, too.
  (func $claim (export "claim") (param $tag i32) (result i32)
    (local $record i32) (local $handle i32) (local $entry i32) (local $region i32)
    (local.set $region (call $next (local.get $tag)))
    (local.set $record (global.get $record))
    (if (i32.eqz (local.tee $handle (i32.load offset=@TABLE_FREE (local.get $record))))
      (then (local.set $handle (call $fresh))))
    (local.set $entry
      (i32.add (i32.load offset=@TABLE_CHUNK (local.get $record)) (i32.shl (local.get $handle) (i32.const 3))))
    (if (i32.eq (local.get $handle) (i32.load offset=@TABLE_FREE (local.get $record)))
      (then
        (if (i32.load offset=@ENTRY_TAG (local.get $entry))
          (then (call $fail (i32.const @Bug) (i32.const 4) (local.get $handle))))
        (i32.store offset=@TABLE_FREE (local.get $record) (i32.load offset=@ENTRY_REGION (local.get $entry)))))
    (i32.store offset=@ENTRY_TAG (local.get $entry) (local.get $tag))
    (i32.store offset=@ENTRY_REGION (local.get $entry) (local.get $region))
    (local.get $handle))

  (func (export "claim-borrow") (param $kind i32) (result i32)
    (local $record i32) (local $handle i32) (local $entry i32)
    (local.set $handle (call $claim (i32.or (local.get $kind) (i32.const @BORROWED))))
    (local.set $record (global.get $record))
    (local.set $entry
      (i32.add (i32.load offset=@TABLE_CHUNK (local.get $record)) (i32.shl (local.get $handle) (i32.const 3))))
    (i32.store offset=@ENTRY_REGION (local.get $entry)
      (i32.or (i32.load offset=@ENTRY_REGION (local.get $entry))
        (i32.shl (i32.load offset=@TABLE_CALLS (local.get $record)) (i32.const @CALL_SHIFT))))
    (i32.store offset=@TABLE_BORROWS (local.get $record)
      (i32.add (i32.load offset=@TABLE_BORROWS (local.get $record)) (i32.const 1)))
    (local.get $handle))

  ;; How many handles are left that a call has borrowed.
  (func (export "remain") (param $call i32) (result i32)
    (local $handle i32) (local $entry i32) (local $count i32)
    (local.set $handle (i32.load offset=@TABLE_USED (global.get $record)))
    (loop $next
      (if (local.tee $handle (i32.sub (local.get $handle) (i32.const 1)))
        (then
          (local.set $entry (call $entry (local.get $handle)))
          (if (i32.and (i32.load offset=@ENTRY_TAG (local.get $entry)) (i32.const @BORROWED))
            (then
              (local.set $count (i32.add (local.get $count) (i32.eq (local.get $call)
                (i32.shr_u (i32.load offset=@ENTRY_REGION (local.get $entry)) (i32.const @CALL_SHIFT)))))))
          (br $next))))
    (local.get $count))

  (func $drop (param $handle i32) (param $kind i32)
    (local $entry i32) (local $tag i32) (local $region i32)
    (if (global.get $forbidden) (then (call $fail (i32.const @CannotLeave) (i32.const 0) (i32.const 0))))
    (local.set $entry (call $entry (local.get $handle)))
    (local.set $tag (i32.load offset=@ENTRY_TAG (local.get $entry)))
    (if (i32.eq (local.get $tag) (i32.or (local.get $kind) (i32.const @BORROWED)))
      (then
        ;; One of a call that waits is not of those of this call.
        (if (i32.eq
              (i32.shr_u (i32.load offset=@ENTRY_REGION (local.get $entry)) (i32.const @CALL_SHIFT))
              (i32.load offset=@TABLE_CALLS (global.get $record)))
          (then (i32.store offset=@TABLE_BORROWS (global.get $record)
            (i32.sub (i32.load offset=@TABLE_BORROWS (global.get $record)) (i32.const 1)))))
        (call $free (local.get $handle) (local.get $entry))
        (return)))
    (if (i32.ne (local.get $tag) (local.get $kind))
      (then
        (if (i32.eq (i32.and (local.get $tag) (i32.const @UNLENT)) (i32.or (local.get $kind) (i32.const @BORROWED)))
          (then (call $fail (i32.const @Lent) (local.get $handle) (i32.const 0))))
        (call $refuse (local.get $handle) (local.get $kind) (local.get $entry))))
    (local.set $region (i32.load offset=@ENTRY_REGION (local.get $entry)))
    (call $free (local.get $handle) (local.get $entry))
    (call $host_drop (local.get $region) (local.get $kind)))

  (func (export "drop-mappable") (param $handle i32) (call $drop (local.get $handle) (i32.const @Mappable)))
  (func (export "drop-mapping") (param $handle i32) (call $drop (local.get $handle) (i32.const @Mapping)))
  (func (export "drop-frozen") (param $handle i32) (call $drop (local.get $handle) (i32.const @Frozen)))
  (func (export "drop-frozen-mapping") (param $handle i32)
    (call $drop (local.get $handle) (i32.const @FrozenMapping))))

;; The handle table of one component instance. Its entries lie in the ledger. Guests hold their indices, with a bit set
;; that no handle of the engine's has (@MARK).
;; Words that begin with an at sign are the constants of `layout` and `interface` (see `tests/assembled.rs`).
(module $mappable-table
  (import "" "ledger" (memory $ledger 0))
  (import "" "join" (func $host_join (param i32 i32 i32 i32) (result i32)))
  (import "" "more" (func $host_more (param i32)))
  (import "" "drop" (func $host_drop (param i32 i32)))
  (import "" "fail" (func $host_fail (param i32 i32 i32 i32)))
@CROSSING_IMPORTS
  ;; The table's number, and where its record lies.
  (global $number (export "number") (mut i32) (i32.const 0))
  (global $record (export "record") (mut i32) (i32.const 0))
  ;; Not 0 while a `realloc` or `post-return` of this component instance runs.
  (global $forbidden (export "forbidden") (mut i32) (i32.const 0))
  ;; What the window was last refreshed for.
  (global $shown_memory (export "shown-memory") (mut i32) (i32.const 0))
  (global $shown_selector (export "shown-selector") (mut i32) (i32.const 0))
  (global $shown_version (export "shown-version") (mut i64) (i64.const 0))
  (global $shown_generation (export "shown-generation") (mut i64) (i64.const 0))

  ;; Until `join` returns the memory is this module's own, and holds the instance's name.
  (func $begin
    (global.set $number
      (call $host_join (i32.const 0) (i32.const 0) (i32.const @NAME) (i32.load (i32.const @NAME_LEN))))
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
    (local $index i32)
    (local.set $index (i32.xor (local.get $handle) (i32.const @MARK)))
    (if (i32.ge_u (local.get $index) (i32.load offset=@TABLE_USED (global.get $record)))
      (then (call $fail (i32.const @UnknownHandle) (local.get $handle) (i32.const 0))))
    (if (i32.ge_u (local.get $index) (i32.load offset=@TABLE_CAPACITY (global.get $record)))
      (then (call $fail (i32.const @Bug) (i32.const 1) (i32.const 0))))
    (i32.add (i32.load offset=@TABLE_CHUNK (global.get $record)) (i32.shl (local.get $index) (i32.const 3))))

  ;; Says why the entry is not one of that kind. Never returns.
  (func $refuse (param $handle i32) (param $kind i32) (param $entry i32)
    (local $tag i32)
    (local.set $tag (i32.load offset=@ENTRY_TAG (local.get $entry)))
    (if (i32.eqz (local.get $tag))
      (then (call $fail (i32.const @UnknownHandle) (local.get $handle) (i32.const 0))))
    (if (i32.ne (i32.and (local.get $tag) (i32.const @KINDS)) (local.get $kind))
      (then
        ;; The mapping of a kind has the number after it.
        (if (i32.and
              (i32.and (local.get $kind) (i32.const 1))
              (i32.eq (local.get $tag) (i32.add (local.get $kind) (i32.const 1))))
          (then (call $fail (i32.const @Mapped) (local.get $handle) (i32.load offset=@ENTRY_REGION (local.get $entry)))))
        (call $fail (i32.const @WrongKind) (local.get $handle) (local.get $kind))))
    (call $fail (i32.const @Bug) (i32.const 2) (local.get $handle)))

  (func $free (param $handle i32) (param $entry i32)
    (i32.store offset=@ENTRY_TAG (local.get $entry) (i32.const 0))
    (i32.store offset=@ENTRY_REGION (local.get $entry) (i32.load offset=@TABLE_FREE (global.get $record)))
    (i32.store offset=@TABLE_FREE (global.get $record) (i32.xor (local.get $handle) (i32.const @MARK))))

  (func $full
    (call $fail (i32.const @FlightFull) (i32.const @MAX_FLIGHT) (i32.const 0)))

  ;; Out of the table, into the flight. What a hop does: all in one function.
  (func (export "take") (param $handle i32) (param $kind i32)
    (local $record i32) (local $index i32) (local $entry i32) (local $len i32) (local $item i32)
    (local.set $record (global.get $record))
    (local.set $index (i32.xor (local.get $handle) (i32.const @MARK)))
    (if (i32.ge_u (local.get $index) (i32.load offset=@TABLE_USED (local.get $record)))
      (then
        (local.set $index (i32.xor (call $adopt (local.get $handle) (local.get $kind)) (i32.const @MARK)))
        (if (i32.ge_u (local.get $index) (i32.load offset=@TABLE_USED (local.get $record)))
          (then (call $fail (i32.const @UnknownHandle) (local.get $handle) (i32.const 0))))))
    (local.set $entry
      (i32.add (i32.load offset=@TABLE_CHUNK (local.get $record)) (i32.shl (local.get $index) (i32.const 3))))
    (if (i32.ne (i32.load offset=@ENTRY_TAG (local.get $entry)) (local.get $kind))
      (then
        (drop (call $adopt (local.get $handle) (local.get $kind)))
        (if (i32.ne (i32.load offset=@ENTRY_TAG (local.get $entry)) (local.get $kind))
          (then (call $refuse (local.get $handle) (local.get $kind) (local.get $entry))))))
    (local.set $len (i32.load (i32.const @FLIGHT_LEN)))
    (if (i32.ge_u (local.get $len) (i32.const @MAX_FLIGHT)) (then (call $full)))
    (local.set $item (i32.shl (local.get $len) (i32.const 3)))
    (i32.store offset=@FLIGHT (local.get $item) (i32.load offset=@ENTRY_REGION (local.get $entry)))
    (i32.store offset=@FLIGHT_KIND (local.get $item) (local.get $kind))
    (i32.store (i32.const @FLIGHT_LEN) (i32.add (local.get $len) (i32.const 1)))
    (i32.store offset=@ENTRY_TAG (local.get $entry) (i32.const 0))
    (i32.store offset=@ENTRY_REGION (local.get $entry) (i32.load offset=@TABLE_FREE (local.get $record)))
    (i32.store offset=@TABLE_FREE (local.get $record) (local.get $index)))

  ;; Into the flight as borrowed, for a function of the host's that calls nobody. It stays in the table.
  (func (export "lend") (param $handle i32) (param $kind i32)
    (local $entry i32) (local $len i32) (local $item i32)
    (local.set $entry (call $entry (local.get $handle)))
    (if (i32.ne (i32.load offset=@ENTRY_TAG (local.get $entry)) (local.get $kind))
      (then (call $refuse (local.get $handle) (local.get $kind) (local.get $entry))))
    (local.set $len (i32.load (i32.const @FLIGHT_LEN)))
    (if (i32.ge_u (local.get $len) (i32.const @MAX_FLIGHT)) (then (call $full)))
    (local.set $item (i32.shl (local.get $len) (i32.const 3)))
    (i32.store offset=@FLIGHT (local.get $item) (i32.load offset=@ENTRY_REGION (local.get $entry)))
    (i32.store offset=@FLIGHT_KIND (local.get $item) (i32.or (local.get $kind) (i32.const @BORROWED)))
    (i32.store (i32.const @FLIGHT_LEN) (i32.add (local.get $len) (i32.const 1))))

  ;; The flight's next item, which must be of that kind.
  (func $next (param $kind i32) (result i32)
    (local $next i32) (local $item i32)
    (local.set $next (i32.load (i32.const @FLIGHT_NEXT)))
    (local.set $item (i32.shl (local.get $next) (i32.const 3)))
    (if (i32.or
          (i32.ge_u (local.get $next) (i32.load (i32.const @FLIGHT_LEN)))
          (i32.ne (i32.load offset=@FLIGHT_KIND (local.get $item)) (local.get $kind)))
      (then (call $fail (i32.const @Flight) (local.get $next) (i32.load (i32.const @FLIGHT_LEN)))))
    (i32.store (i32.const @FLIGHT_NEXT) (i32.add (local.get $next) (i32.const 1)))
    (i32.load offset=@FLIGHT (local.get $item)))

  ;; The index of an entry that has never been used.
  (func $fresh (result i32)
    (local $index i32)
    (local.set $index (i32.load offset=@TABLE_USED (global.get $record)))
    (if (i32.ge_u (local.get $index) (i32.load offset=@TABLE_CAPACITY (global.get $record)))
      (then
        (call $host_more (global.get $number))
        (if (i32.ge_u (local.get $index) (i32.load offset=@TABLE_CAPACITY (global.get $record)))
          (then (call $fail (i32.const @Bug) (i32.const 1) (local.get $index))))))
    (i32.store offset=@TABLE_USED (global.get $record) (i32.add (local.get $index) (i32.const 1)))
    (local.get $index))

  ;; Out of the flight, into the table. What a hop does, too.
  (func (export "claim") (param $kind i32) (result i32)
    (call $put (call $next (local.get $kind)) (local.get $kind)))

  ;; Into the table. Gives the handle.
  (func $put (param $region i32) (param $kind i32) (result i32)
    (local $record i32) (local $index i32) (local $entry i32)
    (local.set $record (global.get $record))
    (if (i32.eqz (local.tee $index (i32.load offset=@TABLE_FREE (local.get $record))))
      (then (local.set $index (call $fresh))))
    (local.set $entry
      (i32.add (i32.load offset=@TABLE_CHUNK (local.get $record)) (i32.shl (local.get $index) (i32.const 3))))
    (if (i32.eq (local.get $index) (i32.load offset=@TABLE_FREE (local.get $record)))
      (then
        (if (i32.load offset=@ENTRY_TAG (local.get $entry))
          (then (call $fail (i32.const @Bug) (i32.const 4) (local.get $index))))
        (i32.store offset=@TABLE_FREE (local.get $record) (i32.load offset=@ENTRY_REGION (local.get $entry)))))
    (i32.store offset=@ENTRY_TAG (local.get $entry) (local.get $kind))
    (i32.store offset=@ENTRY_REGION (local.get $entry) (local.get $region))
    (i32.or (local.get $index) (i32.const @MARK)))

  (func $drop (param $handle i32) (param $kind i32)
    (local $index i32) (local $entry i32) (local $tag i32) (local $held i32)
    (if (global.get $forbidden) (then (call $fail (i32.const @CannotLeave) (i32.const 0) (i32.const 0))))
    (if (i32.eqz (i32.and (local.get $handle) (i32.const @MARK)))
      (then (call $discard (local.get $handle) (local.get $kind)) (return)))
    (local.set $entry (call $entry (local.get $handle)))
    (local.set $tag (i32.load offset=@ENTRY_TAG (local.get $entry)))
    (local.set $held (i32.load offset=@ENTRY_REGION (local.get $entry)))
    (if (i32.eq (local.get $tag) (i32.or (local.get $kind) (i32.const @ENGINES)))
      (then
        (call $free (local.get $handle) (local.get $entry))
        (call $discard (local.get $held) (local.get $kind))
        (return)))
    (if (i32.ne (local.get $tag) (local.get $kind))
      (then (call $refuse (local.get $handle) (local.get $kind) (local.get $entry))))
    (call $free (local.get $handle) (local.get $entry))
    (call $host_drop (local.get $held) (local.get $kind)))

  (func (export "drop-mappable") (param $handle i32) (call $drop (local.get $handle) (i32.const @Mappable)))
  (func (export "drop-mapping") (param $handle i32) (call $drop (local.get $handle) (i32.const @Mapping)))
  (func (export "drop-frozen") (param $handle i32) (call $drop (local.get $handle) (i32.const @Frozen)))
  (func (export "drop-frozen-mapping") (param $handle i32)
    (call $drop (local.get $handle) (i32.const @FrozenMapping)))
@CROSSING)

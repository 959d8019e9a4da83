;; What a handle table has in a component into which the engine's own handles come, of functions that go its way. Such a
;; handle stays what it is until something of the ledger's is done with it.

  ;; The ledger's region of a handle of the engine's, which is taken: it is dropped, and the host, which is told so, makes the
  ;; region the ledger's in place of freeing it. A call of the host's that takes a handle does the same and takes far longer.
  (func $enter (param $handle i32) (param $kind i32) (result i32)
    (local $entered i32)
    (i32.store (i32.const @ENTER) (local.get $kind))
    (call $discard (local.get $handle) (local.get $kind))
    (local.set $entered (i32.load (i32.const @ENTER)))
    (i32.store (i32.const @ENTER) (i32.const 0))
    ;; Nothing is told of the drop of a borrowed handle.
    (if (i32.eqz (i32.and (local.get $entered) (i32.const @ENTERED)))
      (then (call $fail (i32.const @Borrowed) (local.get $handle) (i32.const 0))))
    (i32.xor (local.get $entered) (i32.const @ENTERED)))

  ;; A handle of the engine's for a region of the ledger's.
  (func $leave (param $region i32) (param $kind i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const @Mappable))
      (then (return (call $leave_mappable (local.get $region)))))
    (if (i32.eq (local.get $kind) (i32.const @Mapping))
      (then (return (call $leave_mapping (local.get $region)))))
    (if (i32.eq (local.get $kind) (i32.const @Frozen))
      (then (return (call $leave_frozen (local.get $region)))))
    (call $leave_frozen_mapping (local.get $region)))

  ;; Drops a handle of the engine's.
  (func $discard (param $handle i32) (param $kind i32)
    (if (i32.eq (local.get $kind) (i32.const @Mappable))
      (then (call $discard_mappable (local.get $handle)) (return)))
    (if (i32.eq (local.get $kind) (i32.const @Mapping))
      (then (call $discard_mapping (local.get $handle)) (return)))
    (if (i32.eq (local.get $kind) (i32.const @Frozen))
      (then (call $discard_frozen (local.get $handle)) (return)))
    (call $discard_frozen_mapping (local.get $handle)))

  ;; Has the ledger keep what an owned handle stands for, if the engine does. Gives the handle to go on with. What is no
  ;; such handle it gives back.
  (func $adopt (export "adopt") (param $handle i32) (param $kind i32) (result i32)
    (local $index i32) (local $entry i32) (local $region i32)
    (if (i32.eqz (i32.and (local.get $handle) (i32.const @MARK)))
      (then (return (call $put (call $enter (local.get $handle) (local.get $kind)) (local.get $kind)))))
    (local.set $index (i32.xor (local.get $handle) (i32.const @MARK)))
    (if (i32.lt_u (local.get $index) (i32.load offset=@TABLE_USED (global.get $record)))
      (then
        (local.set $entry (call $entry (local.get $handle)))
        (if (i32.eq (i32.load offset=@ENTRY_TAG (local.get $entry)) (i32.or (local.get $kind) (i32.const @ENGINES)))
          (then
            (local.set $region (call $enter (i32.load offset=@ENTRY_REGION (local.get $entry)) (local.get $kind)))
            (i32.store offset=@ENTRY_TAG (local.get $entry) (local.get $kind))
            (i32.store offset=@ENTRY_REGION (local.get $entry) (local.get $region))))))
    (local.get $handle))

  ;; The engine's handle that a handle is or stands for, or 0 if the ledger keeps it.
  (func (export "engines") (param $handle i32) (result i32)
    (local $entry i32)
    (if (i32.eqz (i32.and (local.get $handle) (i32.const @MARK))) (then (return (local.get $handle))))
    (local.set $entry (call $entry (local.get $handle)))
    (if (i32.and (i32.load offset=@ENTRY_TAG (local.get $entry)) (i32.const @ENGINES))
      (then (return (i32.load offset=@ENTRY_REGION (local.get $entry)))))
    (i32.const 0))

  ;; Gives an owned handle up, for one of the engine's.
  (func (export "leave") (param $handle i32) (param $kind i32) (result i32)
    (local $entry i32) (local $held i32)
    (if (i32.eqz (i32.and (local.get $handle) (i32.const @MARK))) (then (return (local.get $handle))))
    (local.set $entry (call $entry (local.get $handle)))
    (local.set $held (i32.load offset=@ENTRY_REGION (local.get $entry)))
    (if (i32.ne (i32.load offset=@ENTRY_TAG (local.get $entry)) (i32.or (local.get $kind) (i32.const @ENGINES)))
      (then
        (if (i32.ne (i32.load offset=@ENTRY_TAG (local.get $entry)) (local.get $kind))
          (then (call $refuse (local.get $handle) (local.get $kind) (local.get $entry))))
        (local.set $held (call $leave (local.get $held) (local.get $kind)))))
    (call $free (local.get $handle) (local.get $entry))
    (local.get $held))

  ;; The engine's handle that can be lent for a handle, which stands for it from now on.
  (func (export "lend-out") (param $handle i32) (param $kind i32) (result i32)
    (local $entry i32)
    (if (i32.eqz (i32.and (local.get $handle) (i32.const @MARK))) (then (return (local.get $handle))))
    (local.set $entry (call $entry (local.get $handle)))
    (if (i32.ne (i32.load offset=@ENTRY_TAG (local.get $entry)) (i32.or (local.get $kind) (i32.const @ENGINES)))
      (then
        (if (i32.ne (i32.load offset=@ENTRY_TAG (local.get $entry)) (local.get $kind))
          (then (call $refuse (local.get $handle) (local.get $kind) (local.get $entry))))
        (i32.store offset=@ENTRY_REGION (local.get $entry)
          (call $leave (i32.load offset=@ENTRY_REGION (local.get $entry)) (local.get $kind)))
        (i32.store offset=@ENTRY_TAG (local.get $entry) (i32.or (local.get $kind) (i32.const @ENGINES)))))
    (i32.load offset=@ENTRY_REGION (local.get $entry)))

;; A command that makes a folder `made` in the first folder that it is given, and fails if it can't.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type $descriptor (sub resource)))
    (type $codes (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop"
      "too-many-links" "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory"
      "insufficient-space" "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device"
      "overflow" "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $code (eq $codes)))
    (export "[method]descriptor.create-directory-at" (func
      (param "self" (borrow $descriptor)) (param "path" string) (result (result (error $code)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (core module $memory
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free (i32.and
        (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8)))))
  (core instance $own (instantiate $memory))
  (core func $dirs (canon lower (func $preopens "get-directories")
    (memory $own "memory") (realloc (func $own "realloc"))))
  (core func $make (canon lower (func $types "[method]descriptor.create-directory-at") (memory $own "memory")))
  (core module $m
    (import "wasi" "memory" (memory 1))
    (import "wasi" "dirs" (func $dirs (param i32)))
    (import "wasi" "make" (func $make (param i32 i32 i32 i32)))
    (data (i32.const 64) "made")
    (func (export "run") (result i32)
      (call $dirs (i32.const 0))
      ;; A handle comes first in the first tuple of the list.
      (call $make (i32.load (i32.load (i32.const 0))) (i32.const 64) (i32.const 4) (i32.const 16))
      (i32.load8_u (i32.const 16))))
  (core instance $i (instantiate $m (with "wasi" (instance
    (export "memory" (memory $own "memory")) (export "dirs" (func $dirs)) (export "make" (func $make))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))

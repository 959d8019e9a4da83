;; A component that is imported can't be rewritten.
(component
  (import "plugin" (component (export "run" (func))))
)

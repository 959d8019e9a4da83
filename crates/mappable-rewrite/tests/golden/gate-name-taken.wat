;; An import that bears the gate's name already may not be joined by one that would get it.
(component
  (import "mappable:memory/types@0.1.0" (instance))
  (import "mappable:k0/types@0.1.0" (instance))
)

;; What is not valid is not read.
(component
  (core func (canon lower (func 7)))
)

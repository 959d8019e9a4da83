;; The host's side of the ledger is for what the rewriter puts in, whatever it is called and whichever its version.
(component
  (import "mappable:memory/ledger@0.1.7" (instance))
)

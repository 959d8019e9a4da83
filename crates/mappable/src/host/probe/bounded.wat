(module (memory (export "memory") 2 4))

module mappable

go 1.24

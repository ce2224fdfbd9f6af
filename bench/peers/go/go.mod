module shunt/bench/peers/go

go 1.19

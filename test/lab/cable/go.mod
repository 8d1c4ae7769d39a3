module cable

go 1.19

module github.com/sluice-ftp/sluice

go 1.26.0

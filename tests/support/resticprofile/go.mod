module recoup.test/resticprofile

go 1.26.2

require github.com/creativeprojects/resticprofile v0.33.1

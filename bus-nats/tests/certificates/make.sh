#!/usr/bin/env bash
# Makes the certificates anew; needs openssl 3. Only `openssl ca` can date them back.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index.txt"
cat >"$work/ca.cnf" <<END
[ca]
default_ca = test
[test]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[server]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
[elsewhere]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:elsewhere.example.com
[client]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
END

end=21200101000000Z

# make <name> <kind> <how to sign>
make() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj "/CN=$1" \
    -keyout "$1.key" -out "$work/$1.csr"
  openssl ca -batch -notext -config "$work/ca.cnf" -extensions "$2" -in "$work/$1.csr" \
    -out "$1.pem" -startdate 20200101000000Z -enddate $end "${@:3}"
}

make root root -selfsign -keyfile root.key
make other-root root -selfsign -keyfile other-root.key
make server server -cert root.pem -keyfile root.key
make renewed server -cert root.pem -keyfile root.key
make elsewhere elsewhere -cert root.pem -keyfile root.key
make client client -cert root.pem -keyfile root.key
end=20210101000000Z
make expired server -cert root.pem -keyfile root.key
# Nothing is signed with them again.
rm root.key other-root.key

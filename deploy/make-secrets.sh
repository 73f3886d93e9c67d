#!/bin/sh
# Makes the secrets that docker-compose.yml mounts: deploy/make-secrets.sh [FOLDER] [PUBLIC_HOST]
#
# FOLDER is deploy/secrets where not given. PUBLIC_HOST is the name or address under which readers reach Kafka (localhost
# where not given) and goes into the certificate. Existing files are kept, so that it can be run again after one was removed.
#
# The folder is closed to other users of this host. The files in it are readable, because Compose mounts them as they
# are and each container reads them as a user of its own.
set -eu

folder=${1:-$(dirname "$0")/secrets}
public_host=${2:-localhost}
days=825
case $public_host in
    *:* | [0-9]*.[0-9]*.[0-9]*.[0-9]*) public_name=IP:$public_host ;;
    *) public_name=DNS:$public_host ;;
esac

umask 077
mkdir -p "$folder"
cd "$folder"

password() {
    # without a line end, which Kafka would take for a part of it
    [ -e "$1" ] || openssl rand -hex 24 | tr -d "\n" > "$1"
}

password kafka_admin_password
password kafka_ingest_password
password kafka_canonicalize_password
password kafka_privacy_password
password kafka_hot_symbols_password
password kafka_watcher_password
password kafka_nodes_password
password kafka_console_password
password kafka_operator_password
password kafka_auditor_password
password kafka_reader_password
password grafana_password
password console_token
[ -e privacy_key ] || openssl rand -hex 32 > privacy_key

if [ ! -e kafka_ca ]; then
    openssl req -x509 -newkey rsa:3072 -nodes -sha256 -days $days -subj "/CN=callstream kafka authority" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign" \
        -keyout ca.key -out kafka_ca 2> /dev/null
    rm -f kafka_certificate
fi
if [ ! -e kafka_certificate ]; then
    openssl req -new -newkey rsa:3072 -nodes -sha256 -subj "/CN=broker" \
        -keyout broker.key -out broker.csr 2> /dev/null
    printf 'subjectAltName=DNS:broker,DNS:localhost,%s\nextendedKeyUsage=serverAuth\n' "$public_name" > broker.ext
    openssl x509 -req -in broker.csr -CA kafka_ca -CAkey ca.key -days $days -sha256 -extfile broker.ext \
        -out broker.crt 2> /dev/null
    # Kafka's PEM key store is one file: the key, then the chain
    cat broker.key broker.crt kafka_ca > kafka_certificate
    rm -f broker.key broker.csr broker.ext broker.crt ca.srl kafka_ca.srl
fi

chmod 644 kafka_*_password grafana_password console_token privacy_key kafka_ca kafka_certificate
for file in kafka_ca kafka_certificate; do
    echo "$file is good until $(openssl x509 -in $file -noout -enddate | cut -d= -f2); nothing renews it: see docs/compose.md"
done

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const schedulerName = "the-scheduler"

// What a server says about connections that were meant to fail.
var quiet = log.New(io.Discard, "", 0)

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{}
	a.certificate, a.key = sign(t, nil, "an authority")
	return a
}

func sign(t *testing.T, by *authority, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: by == nil, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, parentKey := template, key
	if by != nil {
		parent, parentKey = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	must(t, err)
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	return certificate, key
}

func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	certificate, key := sign(t, a, name)
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}
}

// equip writes the files that the suite is given: whom to trust, the scheduler's certificate and a stranger's.
func (a *authority) equip(t *testing.T, e *Extender) {
	folder := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(folder, name)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	pair := func(name string) (string, string) {
		certificate, key := sign(t, a, name)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		return write(name+".crt", "CERTIFICATE", certificate.Raw), write(name+".key", "PRIVATE KEY", der)
	}
	e.CAFile = write("ca.crt", "CERTIFICATE", a.certificate.Raw)
	e.CertFile, e.KeyFile = pair(schedulerName)
	e.StrangerCertFile, e.StrangerKeyFile = pair("a-stranger")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package helm3

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"helm.sh/helm/v3/pkg/provenance"
)

// Signer signs archives as `helm package --sign` does.
type Signer struct{ signatory *provenance.Signatory }

// NewSigner reads a PGP private key from a file, armored or not. Where the file has several,
// name picks one: its identity, or a part of it. The passphrase is asked for only where the key
// has one.
func NewSigner(file, name string, passphrase func() (string, error)) (*Signer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	read := openpgp.ReadKeyRing
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN PGP")) {
		read = openpgp.ReadArmoredKeyRing
	}
	ring, err := read(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("key %s: not a PGP key: %w", file, err)
	}
	key, err := pick(ring, name)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", file, err)
	}
	if key.PrivateKey.Encrypted {
		text, err := passphrase()
		if err != nil {
			return nil, err
		}
		if err := key.PrivateKey.Decrypt([]byte(text)); err != nil {
			return nil, fmt.Errorf("key %s: the passphrase does not open it", file)
		}
	}
	return &Signer{&provenance.Signatory{Entity: key, KeyRing: ring}}, nil
}

func pick(ring openpgp.EntityList, name string) (*openpgp.Entity, error) {
	var fitting []*openpgp.Entity
	var all []string
	for _, e := range ring {
		if e.PrivateKey == nil {
			continue
		}
		fits := name == ""
		for identity := range e.Identities {
			all = append(all, identity)
			fits = fits || strings.Contains(identity, name)
		}
		if fits {
			fitting = append(fitting, e)
		}
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("no private key in it. Fix: gpg --export-secret-keys NAME > FILE")
	case len(fitting) == 0:
		return nil, fmt.Errorf("no private key of %q in it; there are %s", name, strings.Join(all, ", "))
	case len(fitting) > 1:
		return nil, fmt.Errorf("%d private keys in it fit; name one of %s", len(fitting), strings.Join(all, ", "))
	}
	return fitting[0], nil
}

// Sign returns the provenance of an archive that will have this file name.
func (s *Signer) Sign(name string, archive []byte) (signed []byte, err error) {
	dir, err := os.MkdirTemp("", "basico-sign-") // Helm signs files
	if err != nil {
		return nil, err
	}
	defer func() {
		if fault := os.RemoveAll(dir); fault != nil {
			err = errors.Join(err, fault)
		}
	}()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		return nil, err
	}
	text, err := s.signatory.ClearSign(file)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	return []byte(text), nil
}

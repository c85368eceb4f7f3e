package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"chartbasico/internal/helm3"
)

// registryFlags say how to reach an OCI registry.
type registryFlags struct {
	config       string
	username     string
	passwordFile string
	caFile       string
	plainHTTP    bool
}

func (f *registryFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.config, "registry-config", "", "credentials in Docker's format; default those of helm registry login, then docker login")
	flags.StringVar(&f.username, "username", "", "user of the registry, with --password-file")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the password of --username; - is standard input")
	flags.StringVar(&f.caFile, "ca-file", "", "certificates to trust besides the machine's")
	flags.BoolVar(&f.plainHTTP, "plain-http", false, "reach the registry without TLS")
}

func (f registryFlags) options(in io.Reader) (helm3.RegistryOptions, error) {
	o := helm3.RegistryOptions{Username: f.username, ConfigFile: f.config, CAFile: f.caFile, PlainHTTP: f.plainHTTP}
	if (f.username == "") != (f.passwordFile == "") {
		return o, errors.New("--username and --password-file: found one, expected both or neither")
	}
	if f.passwordFile == "" {
		return o, nil
	}
	var err error
	o.Password, err = secret(f.passwordFile, in)
	return o, err
}

// secret reads a secret from a file, or from standard input by the name of -. The line's end
// is no part of it.
func secret(file string, in io.Reader) (string, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(in)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s: found nothing, expected a secret", file)
	}
	return text, nil
}

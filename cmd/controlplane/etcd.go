package main

import (
	"errors"
	"fmt"
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// newEtcdCommand runs one member of etcd for a cluster that lives as long as its processes: it does not sync its
// writes to the disk, so it answers in microseconds, and data is lost only if the machine itself fails.
func newEtcdCommand() *cobra.Command {
	var dir, listen, ca, cert, key string
	cmd := &cobra.Command{
		Use:          "etcd",
		Short:        "One member of etcd, reached by clients that have a certificate",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := url.Parse(listen)
			if err != nil {
				return fmt.Errorf("--listen-client-url: %w", err)
			}
			// There are no peers. The port of this one is any free one, on the address that is the cluster's alone.
			peer := url.URL{Scheme: "https", Host: client.Hostname() + ":0"}
			cfg := embed.NewConfig()
			cfg.Dir = dir
			cfg.LogLevel = "warn"
			cfg.UnsafeNoFsync = true
			cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
			cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
			cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile, cfg.ClientTLSInfo.TrustedCAFile = cert, key, ca
			cfg.ClientTLSInfo.ClientCertAuth = true
			cfg.PeerTLSInfo = cfg.ClientTLSInfo
			// The only member waits for one election before it serves.
			cfg.TickMs, cfg.ElectionMs = 10, 100
			cfg.Name = "only"
			cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
			// Small numbers: a cluster's objects are few, and memory is many clusters' to share.
			cfg.SnapshotCount = 5000
			cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "revision", "1000"
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			etcd, err := embed.StartEtcd(cfg)
			if err != nil {
				return err
			}
			defer etcd.Close()
			select {
			case <-ctx.Done():
				return nil
			case err := <-etcd.Err():
				return err
			case <-etcd.Server.StopNotify():
				return errors.New("etcd stopped by itself")
			}
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "data-dir", "", "directory of the data")
	flags.StringVar(&listen, "listen-client-url", "", "URL to serve clients on")
	flags.StringVar(&ca, "trusted-ca-file", "", "file of the authority that signs the clients' certificates")
	flags.StringVar(&cert, "cert-file", "", "file of the serving certificate")
	flags.StringVar(&key, "key-file", "", "file of the serving certificate's key")
	for _, name := range []string{"data-dir", "listen-client-url", "trusted-ca-file", "cert-file", "key-file"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// Calls by net/http. The way is the first argument; addresses are in the environment.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

func roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(os.Getenv("CA"))
	pool.AppendCertsFromPEM(pem)
	return pool
}

func svid() *tls.Config {
	pair, err := tls.LoadX509KeyPair(os.Getenv("CERT"), os.Getenv("KEY"))
	if err != nil {
		panic(err)
	}
	return &tls.Config{RootCAs: roots(), Certificates: []tls.Certificate{pair}}
}

func through(proxy string) func(*http.Request) (*url.URL, error) {
	parsed, _ := url.Parse(proxy)
	return http.ProxyURL(parsed)
}

func over(socket string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
}

func main() {
	way, target := os.Args[1], os.Getenv("TARGET")
	transport := &http.Transport{}
	switch {
	case strings.HasPrefix(way, "exec"):
		transport = http.DefaultTransport.(*http.Transport)
	case strings.HasPrefix(way, "mtls"):
		// One configuration for both: the certificate is shown to the target too, if it asks.
		transport.Proxy, transport.TLSClientConfig = through(os.Getenv("PROXY_MTLS")), svid()
	case strings.HasPrefix(way, "token"):
		transport.Proxy, transport.TLSClientConfig = through(os.Getenv("PROXY_TOKEN")), &tls.Config{RootCAs: roots()}
	case strings.HasPrefix(way, "socket"):
		transport.Proxy, transport.DialContext = through("http://localhost"), over(os.Getenv("PROXY_SOCKET"))
		transport.TLSClientConfig = &tls.Config{RootCAs: roots()}
	case way == "door_mtls":
		target, transport.TLSClientConfig = os.Getenv("DOOR_MTLS"), svid()
	case way == "door_token":
		target = os.Getenv("DOOR_TOKEN")
	case way == "door_socket":
		target, transport.DialContext = "http://crm/hello", over(os.Getenv("DOOR_SOCKET"))
	}
	answer, err := (&http.Client{Transport: transport}).Get(target)
	said := map[string]any{}
	if err != nil {
		said["error"] = err.Error()
	} else {
		body, _ := io.ReadAll(answer.Body)
		said["status"], said["body"] = answer.StatusCode, string(body)
	}
	text, _ := json.Marshal(said)
	fmt.Println(string(text))
}

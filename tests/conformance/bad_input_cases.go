// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

// What must be survived. The status stays 200 and Error says what is wrong, as the scheduler drops the body of every
// other reply.
var badInputCases = []Case{
	{"10-over-large-body-is-refused-fast", overLarge},
	{"11-truncated-body-is-an-error", truncated},
	{"11-empty-body-is-an-error", refusedBody("")},
	{"11-no-json-is-an-error", refusedBody("<Pod/>")},
	{"11-wrong-types-are-an-error", refusedBody(`{"Pod":[],"NodeNames":{"a":1}}`)},
	{"11-deep-nesting-is-survived", deepNesting},
	{"11-huge-numbers-are-survived", survived(`1e400`)},
	{"11-bad-utf8-is-survived", survived("\"\xff\xfe\"")},
	{"11-lone-surrogates-are-survived", survived(`"\ud800 \udc00\ud800"`)},
	{"11-nul-is-survived", survived(`"\u0000"`)},
	{"11-names-of-any-bytes-are-survived", oddNames},
	{"12-half-open-peers-block-nobody", halfOpenPeers},
}

func refusedBody(body string) func(*Extender, *World) error {
	return func(e *Extender, w *World) error {
		if err := wantError(e, []byte(body)); err != nil {
			return err
		}
		return wantHealthy(e, w)
	}
}

func wantError(e *Extender, body []byte) error {
	result, err := e.filter(body)
	if err != nil {
		return err
	}
	if result.Error == "" {
		return fmt.Errorf("no Error for %.80s", body)
	}
	_, err = e.prioritize(body)
	return err
}

func truncated(e *Extender, w *World) error {
	body := arguments(w.anyPod(), w.names(), nil)
	for _, length := range []int{1, len(body) / 3, len(body) / 2, len(body) - 1} {
		if err := wantError(e, body[:length]); err != nil {
			return fmt.Errorf("%d of %d bytes: %w", length, len(body), err)
		}
	}
	return wantHealthy(e, w)
}

// survived puts a value where nobody reads it and where the pod's spec is; the nodes pass, or Error says what is wrong.
func survived(value string) func(*Extender, *World) error {
	return func(e *Extender, w *World) error {
		pod := mustJSON(w.Pods.Unmarked)
		names := mustJSON(w.names())
		inPod := bytes.Replace(pod, []byte(`"spec":{`), []byte(`"spec":{"priority":`+value+`,"x":`+value+`,`), 1)
		for _, body := range []string{
			fmt.Sprintf(`{"New":%s,"Pod":%s,"NodeNames":%s}`, value, pod, names),
			fmt.Sprintf(`{"Pod":%s,"NodeNames":%s}`, inPod, names),
		} {
			result, err := e.filter([]byte(body))
			if err != nil {
				return err
			}
			if result.Error == "" {
				if err := wantNames("passed", passedNames(result), w.names()); err != nil {
					return err
				}
			}
			if _, err := e.prioritize([]byte(body)); err != nil {
				return err
			}
		}
		return wantHealthy(e, w)
	}
}

func deepNesting(e *Extender, w *World) error {
	for _, pair := range []string{"[]", `{"a":1}`} {
		open, shut := pair[:1], pair[len(pair)-1:]
		if open == "{" {
			open = `{"a":`
		}
		deep := strings.Repeat(open, 200000) + "1" + strings.Repeat(shut, 200000)
		if err := survived(deep)(e, w); err != nil {
			return err
		}
	}
	return nil
}

// A name may be any string; what comes back is that name or what Go's decoder makes of it.
func oddNames(e *Extender, w *World) error {
	for _, literal := range []string{`"a\u0000b"`, `"\ud800"`, `"\"\\\/\b\f\n\r\t"`, `"ü€😀"`, `"\u00fc\ud83d\ude00"`, `""`,
		"\"" + strings.Repeat("n", 100000) + "\"", "\"\xff\""} {
		body := fmt.Sprintf(`{"Pod":%s,"NodeNames":[%s]}`, mustJSON(w.anyPod()), literal)
		result, err := e.filter([]byte(body))
		if err != nil {
			return fmt.Errorf("%.40s: %w", literal, err)
		}
		if result.Error != "" {
			continue
		}
		var want string
		if err := json.Unmarshal([]byte(literal), &want); err != nil {
			return err
		}
		if err := wantNames(literal, passedNames(result), []string{want}); err != nil {
			return err
		}
	}
	return wantHealthy(e, w)
}

// A body that is announced as 100 GB: refused before it is sent, or at the bound.
func overLarge(e *Extender, w *World) error {
	connection, err := e.dial()
	if err != nil {
		return err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(connection, "POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		e.FilterVerb, int64(100)<<30)
	status, body, err := readReply(connection)
	if err != nil {
		return fmt.Errorf("no answer to a header that announces 100 GB: %w", err)
	}
	result := extenderv1.ExtenderFilterResult{}
	if status == http.StatusOK && (json.Unmarshal(body, &result) != nil || result.Error == "") {
		return fmt.Errorf("200 without an Error: %.200s", body)
	}
	if status != http.StatusOK && status != http.StatusRequestEntityTooLarge {
		return fmt.Errorf("status %d", status)
	}
	return wantHealthy(e, w)
}

func readReply(connection net.Conn) (int, []byte, error) {
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(response.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return response.StatusCode, body, err
}

// 200 peers that never finish their request, some in its header and some in its body.
func halfOpenPeers(e *Extender, w *World) error {
	for i := range 200 {
		connection, err := e.dial()
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		defer connection.Close()
		request := "POST /" + e.FilterVerb + " HTTP/1.1\r\nHost: x\r\n"
		if i%2 == 0 {
			request += "Content-Length: 1000\r\n\r\n{\"Pod\":"
		}
		if _, err := io.WriteString(connection, request); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	start := time.Now()
	if err := wantHealthy(e, w); err != nil {
		return err
	}
	if took := time.Since(start); took > time.Second {
		return fmt.Errorf("an ordinary call took %v", took)
	}
	return nil
}

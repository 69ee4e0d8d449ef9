package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"router/gen/configpb"
)

// A scripted is an rcli whose lines come by a pipe.
type scripted struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (l *lab) scripted(ctx context.Context, home string) (*scripted, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "rcli"), "--socket", l.socket(), "configure")
	cmd.Env = append(os.Environ(), "HOME="+home, "TERM=dumb", "GOMAXPROCS=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	context.AfterFunc(ctx, func() { r.Close() })
	s := &scripted{cmd, in, bufio.NewReader(r)}
	_, err = s.answer()
	return s, err
}

// answer reads up to the next prompt.
func (s *scripted) answer() (string, error) {
	var b strings.Builder
	for {
		c, err := s.out.ReadByte()
		if err != nil {
			return "", fmt.Errorf("after %q: %w", b.String(), err)
		}
		b.WriteByte(c)
		if text := b.String(); c == ' ' && strings.HasSuffix(text, "# ") && strings.Contains(text[strings.LastIndexByte(text, '\n')+1:], "@") {
			return text, nil
		}
	}
}

// do gives a command.
func (s *scripted) do(line string) (string, error) {
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	text, err := s.answer()
	if err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	return text, nil
}

// must is do for what has to work.
func (s *scripted) must(lines ...string) error {
	for _, line := range lines {
		text, err := s.do(line)
		if err != nil {
			return err
		}
		if strings.Contains(text, "error") {
			return fmt.Errorf("%s: %s", line, text)
		}
	}
	return nil
}

var committedAs = regexp.MustCompile(`(?m)^commit (\d+)$`)

// A claim is what a session was told that its commit did.
type claim struct {
	session  int
	number   uint64
	hostname bool // its own name of the host is in it
}

// TestHundredSessions has a hundred rcli edit at once, each in a private candidate: all
// of them something of their own, half of them the same leaf as well. Each commit must be there as it was
// made, and none may undo another without its editor having said so.
func TestHundredSessions(t *testing.T) {
	const sessions = 100
	l := labOf(t)
	l.start()
	l.load(`{"routerd:system": {"config": {"hostname": "r1"}}}`)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	home := t.TempDir()
	var mu sync.Mutex
	var claims []claim
	conflicts := 0
	var ready, done sync.WaitGroup
	ready.Add(sessions)
	start := make(chan struct{})
	errs := make(chan error, sessions)
	began := time.Now()
	for i := range sessions {
		done.Add(1)
		go func() {
			defer done.Done()
			var once sync.Once
			arrive := func() { once.Do(ready.Done) }
			defer arrive()
			errs <- func() error {
				s, err := l.scripted(ctx, home)
				if err != nil {
					return err
				}
				defer s.in.Close()
				lines := []string{fmt.Sprintf("set prefix-list p%d description s%d", i, i)}
				shared := i%2 == 0
				if shared {
					lines = append(lines, fmt.Sprintf("set system hostname h%d", i))
				}
				if err := s.must(lines...); err != nil {
					return err
				}
				arrive()
				<-start
				mine := shared
				for attempt := range 2 * sessions {
					text, err := s.do("commit")
					if err != nil {
						return err
					}
					if m := committedAs.FindStringSubmatch(text); m != nil {
						n, err := strconv.ParseUint(m[1], 10, 64)
						if err != nil {
							return err
						}
						mu.Lock()
						claims = append(claims, claim{i, n, mine})
						mu.Unlock()
						return s.must("set prefix-list p"+strconv.Itoa(i)+" prefix 192.0.2.0/24", "commit")
					}
					if !shared || !strings.Contains(text, "somebody has changed the same") {
						return fmt.Errorf("session %d: commit: %s", i, text)
					}
					mu.Lock()
					conflicts++
					mu.Unlock()
					whose := "mine"
					if attempt > 2 || i%4 == 0 {
						whose, mine = "theirs", false
					}
					if err := s.must("update " + whose); err != nil {
						return err
					}
				}
				return fmt.Errorf("session %d found no way past the conflicts", i)
			}()
		}()
	}
	ready.Wait()
	edited := time.Since(began)
	close(start)
	done.Wait()
	took := time.Since(began) - edited
	for range sessions {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		return
	}
	conn, err := grpc.NewClient("unix:"+l.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := configpb.NewConfigurationClient(conn)
	seen := map[uint64]bool{}
	kept := 0
	for _, c := range claims {
		if seen[c.number] {
			t.Errorf("commit %d was told to two sessions", c.number)
		}
		seen[c.number] = true
		diff, err := client.Diff(ctx, &configpb.DiffRequest{From: c.number - 1, To: c.number})
		if err != nil {
			t.Fatal(err)
		}
		own, host := false, ""
		for _, d := range diff.GetDifference() {
			switch d.GetPath() {
			case "/system/config/hostname":
				host = d.GetNew()
			case fmt.Sprintf("/prefix-list[name=p%d]/config/description", c.session):
				own = d.GetNew() == strconv.Quote(fmt.Sprintf("s%d", c.session))
			case fmt.Sprintf("/prefix-list[name=p%d]/name", c.session):
			default:
				t.Errorf("commit %d of session %d changes %s", c.number, c.session, d.GetPath())
			}
		}
		want := ""
		if c.hostname {
			want, kept = strconv.Quote(fmt.Sprintf("h%d", c.session)), kept+1
		}
		if !own || host != want {
			t.Errorf("commit %d of session %d: own %v, hostname %s, want %s", c.number, c.session, own, host, want)
		}
	}
	log, err := client.Log(ctx, &configpb.LogRequest{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if n := log.GetCommit()[0].GetNumber(); n != 1+2*sessions {
		t.Errorf("the newest commit is %d, want %d", n, 1+2*sessions)
	}
	out, _ := l.rcli("get", "--set", "/prefix-list")
	for i := range sessions {
		for _, line := range []string{fmt.Sprintf("set /prefix-list[name=p%d]/config/description s%d\n", i, i), fmt.Sprintf("set /prefix-list[name=p%d]/config/prefix 192.0.2.0/24\n", i)} {
			if !strings.Contains(out, line) {
				t.Errorf("lost: %s", line)
			}
		}
	}
	if conflicts < sessions/2-1 {
		t.Errorf("%d conflicts, want %d at least: each session but the first has one", conflicts, sessions/2-1)
	}
	t.Logf("%d sessions: edits in %v, %d commits in %v; %d conflicts, settled %d times for the editor's own change; no update lost",
		sessions, edited.Round(time.Millisecond), 2*sessions, took.Round(time.Millisecond), conflicts, kept)
}

package e2e

import "testing"

// rowsShell are the rows of the shell's frame.
func rowsShell() []row {
	return []row{
		{"row-01 operational and configuration mode", func(t *testing.T, w *world) {
			s := w.rcliShell(t)
			s.ExpectRow(`^root@r1>$`)
			s.Line("configure")
			s.Expect(`^\[edit\]\nroot@r1#$`)
			s.Line("exit")
			s.ExpectRow(`^root@r1>$`)
			s.Line("exit")
			if code := s.Exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}},
	}
}

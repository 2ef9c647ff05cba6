package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"sluice/proxy"
)

// Config is what a Process needs.
type Config struct {
	Binary Binary
	// ConfigFile is the configuration that HAProxy runs with, PoolFile the rest of it.
	ConfigFile, PoolFile string
	// Socket and MasterSocket are the unix sockets of workers and master.
	Socket, MasterSocket string
	// LoadTimeout bounds one load, 0 means a minute. StopTimeout is how long a soft stop
	// may take before the process is terminated, 0 means 5 seconds.
	LoadTimeout, StopTimeout time.Duration
	Logger                   zerolog.Logger
	// Access takes each line of HAProxy's standard output, which is the access log where
	// the configuration asks for one; nil: it is treated as HAProxy's own messages.
	Access func(line string)
}

// Process is one HAProxy in master-worker mode. Its methods are safe for concurrent use;
// Load and Stop take turns.
type Process struct {
	cfg  Config
	turn chan struct{} // held by Load and Stop
	// generation is that of the newest load.
	generation atomic.Uint64
	talk       chan struct{} // held by who uses session
	session    *session      // nil: not connected

	mu   sync.Mutex
	main *child // nil before the first start
	gone chan struct{}
	// retired are masters that were replaced and finish their requests.
	retired []*child
}

// child is one started master.
type child struct {
	pid  int
	tail *tail
	// done is closed once the master has ended and err is set.
	done chan struct{}
	err  error
}

var _ proxy.Process = (*Process)(nil)

// New makes a Process that is not running yet.
func New(cfg Config) *Process {
	if cfg.LoadTimeout == 0 {
		cfg.LoadTimeout = time.Minute
	}
	if cfg.StopTimeout == 0 {
		cfg.StopTimeout = 5 * time.Second
	}
	return &Process{cfg: cfg, turn: make(chan struct{}, 1), talk: make(chan struct{}, 1), gone: make(chan struct{})}
}

// Check asks HAProxy for its opinion on a configuration file.
func (p *Process) Check(ctx context.Context, file string) error { return p.cfg.Binary.Check(ctx, file) }

// Exited returns the channel that is closed when the running HAProxy next ends.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// Load starts HAProxy if it does not run, else makes it load its file again, and returns
// when a worker of that generation answers. After an error the previous worker, if there
// was one, still serves.
func (p *Process) Load(ctx context.Context, generation uint64) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.LoadTimeout)
	defer cancel()
	old := p.turnAway(ctx)
	defer old.close()
	before := p.generation.Swap(generation)
	c := p.running()
	if c == nil || p.unreachable() {
		return p.start(ctx, generation)
	}
	err := p.reload(ctx, c, generation)
	if errors.Is(err, errUnreachable) {
		return p.start(ctx, generation)
	}
	if err != nil {
		p.generation.Store(before)
		return err
	}
	return old.awaitStopping(ctx)
}

// unreachable reports whether somebody has removed the workers' socket. No reload makes it
// again, since each worker takes it over from the one before.
func (p *Process) unreachable() bool {
	_, err := os.Stat(p.cfg.Socket)
	return errors.Is(err, os.ErrNotExist)
}

func (p *Process) running() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.main == nil || p.main.ended() {
		return nil
	}
	return p.main
}

// State tells what runs now.
func (p *Process) State(ctx context.Context) proxy.ProcessState {
	if err := p.dismiss(); err != nil {
		p.cfg.Logger.Warn().Err(err).Msg("cannot dismiss a replaced haproxy")
	}
	if p.running() == nil {
		return proxy.ProcessState{}
	}
	state := proxy.ProcessState{Up: true}
	if info, err := ask(ctx, p.cfg.Socket, "show info", commandTimeout); err == nil {
		state.Generation, state.Worker = generationOf(info), pidOf(info)
	}
	if text, err := ask(ctx, p.cfg.MasterSocket, "show proc", commandTimeout); err == nil {
		state.OldWorkers = parseProcesses(text).old
	}
	return state
}

// start launches the master. Its parent thread stays until it has ended: the kernel ties
// the signal that cleans up after a killed parent to that thread.
func (p *Process) start(ctx context.Context, generation uint64) error {
	c := &child{tail: newTail(p.cfg.Logger), done: make(chan struct{})}
	for _, socket := range []string{p.cfg.Socket, p.cfg.MasterSocket} {
		if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove old socket: %w", err)
		}
	}
	started := make(chan error, 1)
	go p.own(c, started)
	if err := <-started; err != nil {
		return fmt.Errorf("start haproxy: %w", err)
	}
	p.mu.Lock()
	before := p.main
	p.main = c
	p.mu.Unlock()
	err := p.await(ctx, c, generation, func() error { return nil })
	if err != nil {
		p.mu.Lock()
		p.main = before
		p.mu.Unlock()
		return errors.Join(err, p.end(c))
	}
	return p.retire(before)
}

// retire lets a master that was replaced, if it still runs, finish its requests: both
// share the ports until it has stopped listening.
func (p *Process) retire(c *child) error {
	if c == nil || c.ended() {
		return nil
	}
	p.mu.Lock()
	p.retired = append(p.retired, c)
	p.mu.Unlock()
	return p.dismiss()
}

// dismiss tells those that were replaced to finish, again and again: one that executes itself
// anew at this moment does not hear it. Who has heard it is not disturbed by hearing it twice.
func (p *Process) dismiss() error {
	p.mu.Lock()
	p.retired = slices.DeleteFunc(p.retired, (*child).ended)
	retired := slices.Clone(p.retired)
	p.mu.Unlock()
	var errs []error
	for _, c := range retired {
		errs = append(errs, signal(c.pid, syscall.SIGUSR1))
	}
	return errors.Join(errs...)
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// signal ignores that a process has ended already.
func signal(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal haproxy: %w", err)
	}
	return nil
}

// own starts the master and waits for its end, on one thread. Stop and start wait for done.
func (p *Process) own(c *child, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(p.cfg.Binary.Path, "-W", "-db", "-S", p.cfg.MasterSocket, "-f", p.cfg.ConfigFile, "-f", p.cfg.PoolFile)
	cmd.Dir = filepath.Dir(p.cfg.ConfigFile)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = c.tail, c.tail
	if p.cfg.Access != nil {
		cmd.Stdout = &accessLines{each: p.cfg.Access}
	}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	c.pid = cmd.Process.Pid
	started <- nil
	c.err = cmd.Wait()
	close(c.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.main == c {
		close(p.gone)
		p.gone = make(chan struct{})
	}
}

// Stop ends HAProxy softly: it finishes its requests for at most StopTimeout, then is
// terminated. It returns once nothing of it runs.
func (p *Process) Stop(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	p.mu.Lock()
	all := p.retired
	p.retired = nil
	p.mu.Unlock()
	if c := p.running(); c != nil {
		all = append(all, c)
	}
	var errs []error
	for _, c := range all {
		errs = append(errs, p.end(c))
	}
	return errors.Join(errs...)
}

// end stops one master: softly, then firmly, then by force.
func (p *Process) end(c *child) error {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGUSR1, p.cfg.StopTimeout}, {syscall.SIGTERM, 3 * time.Second}, {syscall.SIGKILL, 3 * time.Second}} {
		select {
		case <-c.done:
			return nil
		default:
		}
		target := c.pid
		if step.signal == syscall.SIGKILL {
			target = -c.pid // its workers too
		}
		if err := signal(target, step.signal); err != nil {
			return err
		}
		timer := time.NewTimer(step.wait)
		select {
		case <-c.done:
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
	return errors.New("stop haproxy: it does not end")
}

/* A bot that does nothing but say that it runs: one datagram at once, one every EVERY_MS, one on SIGTERM, then it exits.
 * Freestanding, so that the smallest compiler will do and the image holds nothing else.
 * Environment: SINK=a.b.c.d:port, EVERY_MS (default 20), BOT_ID, BOT_EPOCH.
 * The datagram, little-endian: "BCN1" | flags u32 (1: the last one) | run u64 | seq u64 | epoch u64 | CLOCK_BOOTTIME ns u64 | bot. */
typedef unsigned long u64;
typedef long i64;
typedef unsigned int u32;
typedef unsigned short u16;

struct timespec { i64 sec, nsec; };
struct address { u16 family, port; u32 ip; char zero[8]; };

#if defined(__x86_64__)
enum { SYS_sendto = 44, SYS_socket = 41, SYS_exit = 231, SYS_sigprocmask = 14, SYS_sigtimedwait = 128, SYS_clock_gettime = 228, SYS_getrandom = 318 };
static i64 call(i64 n, i64 a, i64 b, i64 c, i64 d, i64 e, i64 f) {
  i64 given[7], result;
  given[0] = n, given[1] = a, given[2] = b, given[3] = c, given[4] = d, given[5] = e, given[6] = f;
  __asm__ volatile("movq (%1), %%rax\n\tmovq 8(%1), %%rdi\n\tmovq 16(%1), %%rsi\n\tmovq 24(%1), %%rdx\n\t"
                   "movq 32(%1), %%r10\n\tmovq 40(%1), %%r8\n\tmovq 48(%1), %%r9\n\tsyscall\n\tmovq %%rax, %0"
                   : "=m"(result) : "b"(given) : "rax", "rdi", "rsi", "rdx", "r10", "r8", "r9", "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start:\n\txorl %ebp, %ebp\n\tmovq %rsp, %rdi\n\tandq $-16, %rsp\n\tcall begin\n\thlt\n");
#elif defined(__aarch64__)
enum { SYS_sendto = 206, SYS_socket = 198, SYS_exit = 94, SYS_sigprocmask = 135, SYS_sigtimedwait = 137, SYS_clock_gettime = 113, SYS_getrandom = 278 };
static i64 call(i64 n, i64 a, i64 b, i64 c, i64 d, i64 e, i64 f) {
  register i64 x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
  register i64 x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl begin\n");
#else
#error "Add the system calls of this architecture"
#endif

#define BOOTTIME 7
#define SIGTERM_BIT (1UL << (15 - 1))
#define SIGINT_BIT (1UL << (2 - 1))

/* Static: nothing may need memset or memcpy. */
static char packet[512] = "BCN1";
static struct address to = { 2, 0, 0, { 0 } };

static u64 now(void) {
  struct timespec t;
  call(SYS_clock_gettime, BOOTTIME, (i64)&t, 0, 0, 0, 0);
  return (u64)t.sec * 1000000000UL + (u64)t.nsec;
}

static char *variable(char **env, const char *name) {
  for (; *env; env++) {
    char *at = *env;
    const char *want = name;
    while (*want && *at == *want) at++, want++;
    if (!*want && *at == '=') return at + 1;
  }
  return 0;
}

static u64 number(char **at) {
  u64 value = 0;
  while (**at >= '0' && **at <= '9') value = value * 10 + (u64)(*(*at)++ - '0');
  return value;
}

static void put(int at, u64 value, int bytes) {
  for (int i = 0; i < bytes; i++) packet[at + i] = (char)(value >> (8 * i));
}

void begin(i64 *stack) {
  char **env = (char **)(stack + 1 + stack[0] + 1);
  char *sink = variable(env, "SINK"), *every = variable(env, "EVERY_MS"), *bot = variable(env, "BOT_ID"), *epoch = variable(env, "BOT_EPOCH");
  if (!sink || !bot || !epoch) call(SYS_exit, 64, 0, 0, 0, 0, 0);

  /* Blocked from the first moment: a signal before the loop is answered by the loop. */
  u64 signals = SIGTERM_BIT | SIGINT_BIT;
  call(SYS_sigprocmask, 0, (i64)&signals, 0, 8, 0, 0);

  for (int i = 0; i < 4; i++) {
    to.ip |= (u32)number(&sink) << (8 * i);
    sink++;
  }
  u64 port = number(&sink);
  to.port = (u16)(port << 8 | port >> 8);
  u64 period = every ? number(&every) * 1000000UL : 20000000UL, run = 0;
  call(SYS_getrandom, (i64)&run, 8, 0, 0, 0, 0);

  put(8, run, 8);
  put(24, number(&epoch), 8);
  int size = 40;
  while (*bot && size < (int)sizeof packet) packet[size++] = *bot++;

  i64 socket = call(SYS_socket, 2, 2, 0, 0, 0, 0);
  u64 next = now();
  for (u64 seq = 0, last = 0;; seq++) {
    put(4, last, 4);
    put(16, seq, 8);
    put(32, now(), 8);
    call(SYS_sendto, socket, (i64)packet, size, 0, (i64)&to, sizeof to);
    if (last) call(SYS_exit, 0, 0, 0, 0, 0, 0);
    next += period;
    u64 t = now();
    /* After a long stop one datagram is enough: those that it missed say nothing. */
    if (next < t) next = t;
    struct timespec wait;
    wait.sec = (i64)((next - t) / 1000000000UL);
    wait.nsec = (i64)((next - t) % 1000000000UL);
    last = call(SYS_sigtimedwait, (i64)&signals, 0, (i64)&wait, 8, 0, 0) > 0;
  }
}

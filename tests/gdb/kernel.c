/* The kernel that gdb debugs, for 32 and for 64 bits.  It counts for ever, and lets the other processors count too. */
struct point {
    int x, y;
};

volatile int counter, watched;
volatile unsigned long sum;
struct point place = {3, 4};

__attribute__((noinline)) static int leaf(int n)
{
    int twice = n * 2;
    return twice + 1;
}

__attribute__((noinline)) static int middle(int n)
{
    int left = leaf(n);
    int right = leaf(n + 1);
    return left + right;
}

/* Others' real-mode code, at 8000h: 1: incl 0x7000; jmp 1b */
static void wake_others(void)
{
    static const unsigned char loop[] = {0x66, 0xff, 0x06, 0x00, 0x70, 0xeb, 0xf9};
    volatile unsigned char *at = (volatile unsigned char *)0x8000;
    volatile unsigned *icr = (volatile unsigned *)0xfee00300;
    for (unsigned i = 0; i < sizeof(loop); i++) {
        at[i] = loop[i];
    }
    *icr = 0xc4500; /* INIT, SIPI to all but us (SDM vol 3 §10.6.1) */
    for (volatile int i = 0; i < 1000; i++) {
    }
    *icr = 0xc4608;
}

void kmain(void)
{
    wake_others();
    for (;;) {
        counter++;
        sum += (unsigned long)middle(counter);
        if (counter % 8 == 0) {
            watched = counter;
        }
    }
}

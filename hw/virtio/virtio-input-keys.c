/* Linux' numbers of keys (its input-event-codes.h).  Those that PCs had from the start have the numbers of set 1 of the
 * keyboard's scan codes; the table has the others. */
#include "hw/virtio/virtio-input.h"

unsigned virtio_input_code(KeyCode key)
{
    static const uint8_t codes[KEY_CODES] = {
        [KEY_KP_ENTER] = 96,    [KEY_CTRL_R] = 97,      [KEY_KP_DIVIDE] = 98,   [KEY_PRINT] = 99,
        [KEY_SYSRQ] = 99,       [KEY_ALT_R] = 100,      [KEY_HOME] = 102,       [KEY_UP] = 103,
        [KEY_PGUP] = 104,       [KEY_LEFT] = 105,       [KEY_RIGHT] = 106,      [KEY_END] = 107,
        [KEY_DOWN] = 108,       [KEY_PGDN] = 109,       [KEY_INSERT] = 110,     [KEY_DELETE] = 111,
        [KEY_AUDIOMUTE] = 113,  [KEY_VOLUMEDOWN] = 114, [KEY_VOLUMEUP] = 115,   [KEY_POWER] = 116,
        [KEY_KP_EQUALS] = 117,  [KEY_PAUSE] = 119,      [KEY_KP_COMMA] = 121,   [KEY_LANG1] = 122,
        [KEY_LANG2] = 123,      [KEY_YEN] = 124,        [KEY_META_L] = 125,     [KEY_META_R] = 126,
        [KEY_COMPOSE] = 127,    [KEY_STOP] = 128,       [KEY_AGAIN] = 129,      [KEY_PROPS] = 130,
        [KEY_UNDO] = 131,       [KEY_FRONT] = 132,      [KEY_COPY] = 133,       [KEY_OPEN] = 134,
        [KEY_PASTE] = 135,      [KEY_FIND] = 136,       [KEY_CUT] = 137,        [KEY_HELP] = 138,
        [KEY_CALCULATOR] = 140, [KEY_SLEEP] = 142,      [KEY_WAKE] = 143,       [KEY_MAIL] = 155,
        [KEY_AC_BOOKMARKS] = 156, [KEY_COMPUTER] = 157, [KEY_AC_BACK] = 158,    [KEY_AC_FORWARD] = 159,
        [KEY_AUDIONEXT] = 163,  [KEY_AUDIOPLAY] = 164,  [KEY_AUDIOPREV] = 165,  [KEY_AUDIOSTOP] = 166,
        [KEY_AC_HOME] = 172,    [KEY_AC_REFRESH] = 173, [KEY_F13] = 183,        [KEY_F14] = 184,
        [KEY_F15] = 185,        [KEY_F16] = 186,        [KEY_F17] = 187,        [KEY_F18] = 188,
        [KEY_F19] = 189,        [KEY_F20] = 190,        [KEY_F21] = 191,        [KEY_F22] = 192,
        [KEY_F23] = 193,        [KEY_F24] = 194,        [KEY_MEDIASELECT] = 226, [KEY_LF] = 101,
        [KEY_RO] = 89,          [KEY_HIRAGANA] = 91,    [KEY_HENKAN] = 92,      [KEY_KATAKANAHIRAGANA] = 93,
        [KEY_MUHENKAN] = 94,
    };
    enum { LAST_PLAIN = 0x58 };
    if ((unsigned)key >= KEY_CODES) {
        return 0;
    }
    unsigned number = key_number(key);
    return codes[key] ? codes[key] : number <= LAST_PLAIN ? number : 0;
}

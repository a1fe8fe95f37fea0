
/*
 * Runs the model on images that a generator makes, and compares SHA-256 digests of the outputs (docs/format.md of ivit)
 * with those that ivit gave. With names of files, it prints the digest of each image in them: u8 pixels, images end to
 * end, as `ivit infer --save-pixels` writes them.
 */

static uint32_t rotated(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha_block(uint32_t state[8], const uint8_t *block) {
  static const uint32_t k[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++, block += 4)
    w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7];
    w[i] += (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3) + (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10);
  }
  for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int i = 0; i < 64; i++) {
    uint32_t t = s[7] + (rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                 k[i] + w[i];
    uint32_t u = (rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22)) +
                 ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    for (int j = 7; j > 0; j--) s[j] = s[j - 1];
    s[4] += t;
    s[0] = t + u;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

/* The digest of `count` outputs as text. */
static void digest(const int32_t *out, uint32_t count, char text[65]) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t block[64];
  const uint64_t bytes = (uint64_t)count * 4, whole = (bytes + 8) / 64 * 64 + 64;
  for (uint64_t at = 0; at < whole; at++) {
    uint8_t byte = 0;
    if (at < bytes)
      byte = (uint8_t)((uint32_t)out[at / 4] >> 8 * (at % 4));
    else if (at == bytes)
      byte = 0x80;
    else if (at >= whole - 8)
      byte = (uint8_t)(bytes * 8 >> 8 * (whole - 1 - at));
    block[at % 64] = byte;
    if (at % 64 == 63) sha_block(state, block);
  }
  for (int i = 0; i < 64; i++) text[i] = "0123456789abcdef"[state[i / 8] >> (28 - 4 * (i % 8)) & 15];
  text[64] = 0;
}

static uint8_t pixels[IVIT_PIXELS];
static int32_t out[IVIT_OUTPUTS];
static uint64_t arena[IVIT_ARENA_BYTES / 8 + 2];

/* Pixels of test image `number`, from 1 on: xorshift32. */
static void make_pixels(uint32_t number) {
  uint32_t x = number * 0x9e3779b9u;
  for (uint32_t i = 0; i < IVIT_PIXELS; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    pixels[i] = (uint8_t)(x >> 24);
  }
}

static int run_files(int count, char **names) {
  char text[65];
  for (int i = 0; i < count; i++) {
    FILE *file = fopen(names[i], "rb");
    if (!file) {
      printf("cannot read %s\n", names[i]);
      return 3;
    }
    while (fread(pixels, 1, IVIT_PIXELS, file) == IVIT_PIXELS) {
      ivit_run(pixels, out, arena);
      digest(out, IVIT_OUTPUTS, text);
      printf("%s  %s\n", text, names[i]);
    }
    fclose(file);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1) return run_files(argc - 1, argv + 1);
  int failed = 0;
  for (uint32_t i = 0; i < sizeof golden / sizeof *golden; i++) {
    char text[65];
    make_pixels(i + 1);
    /* The arena may begin anywhere. */
    int status = ivit_run(pixels, out, (uint8_t *)arena + 2 * i);
    digest(out, IVIT_OUTPUTS, text);
    int is_equal = status == 0;
    for (int j = 0; j < 64; j++) is_equal &= text[j] == golden[i][j];
    printf("%s  test image %u: %s\n", text, (unsigned)i + 1, is_equal ? "ok" : "WRONG");
    failed |= !is_equal;
  }
  return failed;
}

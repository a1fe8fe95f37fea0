{
  "targets": [
    {
      "target_name": "ivit",
      "sources": ["isa.c", "portable.c", "program.c", "node/addon.c", "node/memory.c", "node/pool.c"],
      "cflags_c": ["-std=gnu11", "-O3", "-pthread"],
      "ldflags": ["-pthread"],
      "xcode_settings": {"OTHER_CFLAGS": ["-std=gnu11", "-O3"]},
      "conditions": [
        ["target_arch == 'arm64'", {"sources": ["arm/neon.c"]}],
        ["target_arch == 'x64'", {"sources": ["<!@(node -p \"require('fs').readdirSync('x86').filter(f=>f.endsWith('.c')).map(f=>'x86/'+f).join(' ')\")"]}]
      ]
    }
  ]
}

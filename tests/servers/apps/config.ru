# Rack: the page is chosen by Rack's own `map`, or by the decoded path with slashes merged, as Rails does it.
page = lambda do |env, admin|
  request = Rack::Request.new(env)
  path = Rack::Utils.unescape_path("#{env['SCRIPT_NAME']}#{env['PATH_INFO']}").b.squeeze('/')
  hexed = ->(value) { value.to_s.b.unpack1('H*') }
  fields = env.select { |name, _| name.start_with?('HTTP_', 'CONTENT_') }
  line = [
    hexed.(request.request_method),
    hexed.(path),
    admin || path.match?(%r{\A/admin(/|\z)}n) ? 'admin' : 'page',
    hexed.(env['HTTP_X_SESSION']),
    hexed.(request.scheme),
    env['REMOTE_PORT'] || 0,
    hexed.(env['rack.input'].read),
    *fields.map { |name, value| "#{hexed.(name)}=#{hexed.(value)}" }
  ].join(' ') + "\n"
  File.write(ENV['SEEN'], line, mode: 'a')
  [200, { 'Content-Type' => 'text/plain', 'Content-Length' => line.bytesize.to_s }, [line]]
end

map('/admin') { run ->(env) { page.(env, true) } }
run ->(env) { page.(env, false) }

# frozen_string_literal: true

# Ruby's app; rules.py says what it answers to.
require 'json'
require ENV.fetch('ADAPTER')

PAGES = {
  '/show' => ->(session) { JSON.generate(session.to_hash) },
  '/read' => ->(session) { session.keys.length.to_s },
  '/set' => lambda do |session, request, key|
    session[key] = JSON.parse(request.body.read, max_nesting: false)
    'ok'
  end,
  '/drop' => ->(session, _, key) { session.delete(key) and 'ok' },
  '/bad' => ->(session, _, key) { (session[key] = Object.new) and 'ok' },
  '/login' => lambda do |session, request|
    request.session_options[:renew] = true
    session[:user] = request.params['name']
  end,
  '/logout' => ->(session) { session.destroy and 'ok' },

  '/values' => lambda do |session|
    circle = {}
    circle['circle'] = circle
    values = {
      symbol: :s, time: Time.now, nan: Float::NAN, infinite: -Float::INFINITY, object: Object.new, range: 1..2,
      rational: 1r, bytes: "\xff".b, broken: "\xff", symbols: { key: 1 }, integers: { 1 => 2 },
      text: Class.new(String).new('x'), list: Class.new(Array).new, table: Class.new(Hash).new, circle: circle,
      deep: { 'deeper' => [Time.now] }
    }
    refused = values.each_with_object({}) do |(key, value), said|
      session[key] = value
    rescue StandardError => e
      said[key] = e.message
    end
    begin
      session['_session_id'] = 1
    rescue StandardError => e
      refused['_session_id'] = e.message
    end
    JSON.generate('refused' => refused, 'left' => session.keys)
  end,
  '/inside' => ->(session, _, key) { (session[key]['inside'] = Time.now) and 'ok' },
  '/push' => ->(session, _, key) { session[key].push(2) and 'ok' },
  '/clear' => ->(session) { session.clear and 'ok' },
  '/nil' => ->(session, _, key) { (session[key] = nil).to_s },
  '/replace' => ->(session, request) { session.replace(JSON.parse(request.body.read)) and 'ok' },
  '/another' => ->(_, request) { (request.env['rack.session'] = JSON.parse(request.body.read)) and 'ok' },
  '/destroy-and-go-on' => ->(session) { session.destroy and session[:user] = 'Ann' },
  '/drop-all' => ->(_, request) { request.session_options[:drop] = true and 'ok' },
  '/skip' => ->(session, request) { session[:user] = 'Ann' and request.session_options[:skip] = true and 'ok' },
  '/remember' => ->(session, request) { session[:user] = 'Ann' and (request.session_options[:expire_after] = 100).to_s },
  '/id' => ->(session) { "#{session.id} #{session.id.public_id}" },
  '/hash' => lambda do |session|
    session.merge!(symbol: 1, 'text' => 2)
    session.store(:more, 3)
    session.update('deep' => { 'er' => 4 })
    JSON.generate([
                    session[:symbol], session['symbol'], session.fetch(:text), session.fetch(:none, 5), session.dig(:deep, 'er'),
                    session.key?(:more), session.has_key?('more'), session.include?(:none), session.keys, session.values.length,
                    session.delete(:more), session.empty?, session.map { |key, _| key }, session.to_h == session.to_hash,
                    session.exists?, session.loaded?, session.enabled?, session.inspect
                  ])
  end,
  '/raise' => ->(session) { session[:user] = 'Ann' and raise 'of the app' },
  '/flash' => ->(session) { (session[:flash] ||= []).push('Saved.') and 'ok' },
  '/take-flash' => ->(session) { (session.delete(:flash) || []).join },
  '/still' => ->(_) { 'no session here' }
}.freeze

# Changes the session when the server reads the body, after the head.
Late = Struct.new(:session) do
  def each
    session[:late] = 1
    yield 'late'
  rescue StandardError => e
    yield e.message
  end
end

options = { header: ENV.fetch('PREFIX', 'X-Session'), secret: 'has no meaning' }
options[:expire_after] = Integer(ENV['EXPIRE_AFTER']) if ENV['EXPIRE_AFTER']
use Rack::Session::Cloakroom, options

run(lambda do |env|
  request = Rack::Request.new(env)
  if request.path == '/public'
    request.session[request.params['key']] = 1
    return [200, { 'Cache-Control' => 'Public, max-age=60' }, []]
  end
  return [200, { 'content-type' => 'text/plain' }, Late.new(request.session)] if request.path == '/late'

  if request.path == '/hijack' # the app has the connection, and answers by itself
    request.session[:taken] = 1
    io = env['rack.hijack'].call
    io.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ntaken")
    io.close
    return [200, {}, []]
  end
  if request.path == '/stream' # and here after the head
    request.session[:streamed] = 1
    write = lambda do |io|
      io.write('streamed')
      io.close
    end
    return [200, { 'rack.hijack' => write }, []]
  end

  page = PAGES.fetch(request.path)
  body = page.call(*[request.session, request, request.params['key']].first(page.arity))
  [200, { 'content-type' => 'application/json' }.freeze, [body]]
end)
